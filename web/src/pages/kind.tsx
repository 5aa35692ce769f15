/** What a session has by its kind: decisions and insights, states that are advanced, experiments that are compared. */
import { KindPart, type KindPart as Part } from '../documents.ts';
import { put } from '../route.ts';
import { ask } from '../server.ts';
import { useLoad } from '../parts/load.ts';
import { Json } from '../parts/json.tsx';
import { Flow, wayFrom } from './flow.tsx';
import { Badge, Empty, Score, Time, Trouble, span } from '../parts/show.tsx';

type Of<Name> = Extract<Part, { __typename: Name }>;

export function Kind({ id }: { id: string }) {
  const { data, error } = useLoad(id, async (signal) => (await ask(KindPart, { id }, signal)).session);
  return (
    <div class="body" tabIndex={0}>
      {error && <Trouble error={error} />}
      {data?.__typename === 'PanelSession' && <Panel panel={data} />}
      {data?.__typename === 'WorkflowSession' && <Workflow workflow={data} />}
      {data?.__typename === 'PlaygroundSession' && <Playground playground={data} />}
    </div>
  );
}

function Panel({ panel }: { panel: Of<'PanelSession'> }) {
  if (!panel.decisions.length && !panel.insights.length) return <Empty title="No decisions yet"><p>They come by <code>addDecision</code> and <code>addInsight</code>.</p></Empty>;
  return (
    <>
      {panel.decisions.length > 0 && <h2>Decisions</h2>}
      {panel.decisions.map(({ id, topic, text, consensus, votes, createdAt }) => (
        <section key={id} class="card">
          {topic && <p class="soft" dir="auto">{topic}</p>}
          <p dir="auto"><strong>{text}</strong> <span class="soft"><Time at={createdAt} /></span></p>
          {consensus !== null && <Score of="consensus" value={consensus} />}
          <ul class="plain">{votes.map((vote, index) => <li key={index}><Badge of={vote.choice} /> <bdi>{vote.participant?.name}</bdi> <span class="soft"><bdi>{vote.comment}</bdi></span></li>)}</ul>
        </section>
      ))}
      {panel.insights.length > 0 && <h2>Insights</h2>}
      {panel.insights.map(({ id, category, text, participant, supportingMessages }) => (
        <section key={id} class="card">
          <p class="line"><Badge of={category} /> <bdi>{participant?.name}</bdi></p>
          <p dir="auto">{text}</p>
          {supportingMessages.map((message) => <p key={message.id} class="source"><button type="button" class="quiet" onClick={() => put({ tab: null, message: message.id }, false)}><bdi>{message.text.slice(0, 160)}</bdi></button></p>)}
        </section>
      ))}
    </>
  );
}

/** A step as its line in the session's log tells it. */
interface Step {
  from?: unknown;
  to?: unknown;
  transition?: unknown;
}

/** The states as a graph and in words, each with where it may lead; the present one is marked, and so is the way it took. */
function Workflow({ workflow }: { workflow: Of<'WorkflowSession'> }) {
  const steps = workflow.trace.nodes.map((line) => ({ ...line, ...wayOf((line.data ?? {}) as Step) }));
  const been = new Set([...workflow.executions.map(({ state }) => state), ...steps.flatMap(({ from, to }) => [from, to])]);
  const taken = new Set(steps.map(({ from, to }) => wayFrom(from, to)));
  if (!workflow.states.length) return <Empty title="No states"><p>A workflow is given its states when it is created.</p></Empty>;
  return (
    <>
      <Flow states={workflow.states} now={workflow.state} been={been} taken={taken} />
      <ol class="states">
        {workflow.states.map(({ name, description, transitions, isFinal }) => (
          <li key={name} class={`card${name === workflow.state ? ' now' : been.has(name) ? ' been' : ''}`} aria-current={name === workflow.state ? 'step' : undefined}>
            <strong><bdi>{name}</bdi></strong> {isFinal && <span class="soft">end</span>}
            {description && <p class="soft" dir="auto">{description}</p>}
            {transitions.map((one) => <p key={one.to} class="soft">{one.name ? `${one.name} ` : ''}→ <bdi>{one.to}</bdi></p>)}
          </li>
        ))}
      </ol>
      {steps.length > 0 && <h2 id="way">The way it took</h2>}
      {steps.length > 0 && (
        <ol aria-labelledby="way">
          {steps.map(({ id, from, to, name, time, agent }) => (
            <li key={id}>
              <bdi>{from}</bdi> → <bdi>{to}</bdi> <span class="soft">{name && <bdi>{name} </bdi>}<Time at={time} /> {agent && <>by <bdi>{agent.name}</bdi></>}</span>
            </li>
          ))}
        </ol>
      )}
      {workflow.executions.length > 0 && <h2>What ran in it</h2>}
      <ul class="plain">
        {workflow.executions.map((one) => (
          <li key={one.id}>
            <Badge of={one.status} /> <bdi>{one.name}</bdi> <span class="soft"><bdi>{one.state}</bdi> <Time at={one.startedAt} /> {one.durationMs === null ? '' : span(one.durationMs)}</span>
            {one.error && <span class="bad"> <bdi>{one.error}</bdi></span>}
          </li>
        ))}
      </ul>
    </>
  );
}

const wayOf = ({ from, to, transition }: Step) => ({ from: text(from), to: text(to), name: text(transition) });
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function Playground({ playground }: { playground: Of<'PlaygroundSession'> }) {
  const metricsOf = (metrics: unknown) => (metrics ?? {}) as Record<string, number>;
  const names = [...new Set(playground.experiments.flatMap(({ results }) => results.flatMap(({ metrics }) => Object.keys(metricsOf(metrics)))))].slice(0, 12);
  if (!playground.experiments.length) return <Empty title="No experiments yet"><p>They come by <code>addExperiment</code> and <code>addResult</code>.</p></Empty>;
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <thead><tr><th>Experiment</th><th>Parameters</th>{names.map((name) => <th key={name}><bdi>{name}</bdi></th>)}</tr></thead>
        <tbody>
          {playground.experiments.map(({ id, name, description, parameters, results }) => (
            <tr key={id}>
              <td><bdi>{name}</bdi><p class="soft" dir="auto">{description}</p></td>
              <td><Json value={parameters} label="parameters" /></td>
              {names.map((metric) => <td key={metric} class="figure">{results.map(({ id, metrics }) => <p key={id}>{metricsOf(metrics)[metric] ?? ''}</p>)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
