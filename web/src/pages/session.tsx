import { useEffect, useRef, useState } from 'preact/hooks';
import { Badge, Copy, Empty, Score, Time, Trouble, count, dollars, span } from '../parts/show.tsx';
import { Annotations, annotateKey } from '../parts/annotations.tsx';
import { Json } from '../parts/json.tsx';
import { useKeys } from '../parts/keys.ts';
import { useLoad } from '../parts/load.ts';
import { go, put, to } from '../route.ts';
import { ask } from '../server.ts';
import { SessionHead, SessionMemories, SessionTraces, type SessionHead as Head } from '../documents.ts';
import { Conversation } from './conversation.tsx';
import { Kind } from './kind.tsx';
import { Why } from './why.tsx';

const TABS: Record<string, string> = { '': 'Conversation', memories: 'Memories', traces: 'Traces', context: 'Context' };
const OF_KIND: Record<string, string> = { PANEL: 'Decisions', WORKFLOW: 'States', PLAYGROUND: 'Experiments' };

export function SessionView({ id, query }: { id: string; query: URLSearchParams }) {
  const { data, error, busy, again } = useLoad(id, async (signal) => (await ask(SessionHead, { id }, signal)).session);
  const top = useRef<HTMLHeadingElement>(null);
  const tab = query.get('tab') ?? '';
  const why = query.get('why');
  const back = to(['sessions'], Object.fromEntries([...query].filter(([name]) => !['tab', 'why', 'message', 'branch', 'thread'].includes(name))));
  useEffect(() => top.current?.focus({ preventScroll: true }), [data?.id]);
  const aimed = query.get('message');
  useKeys([annotateKey(aimed ? { id: aimed, what: 'message' } : { id, what: 'session' }), { key: 'Escape', does: why ? 'Close' : 'Back to the list', run: () => (why ? put({ why: null }) : go(back)) }]);
  if (error) return <section class="pane detail"><Trouble error={error} again={again} /></section>;
  if (!data) {
    return busy ? <section class="pane detail"><p class="soft wait">Loading…</p></section> : <section class="pane detail"><Empty title="There is no such session"><p>It may have been deleted. <a href={back}>To the sessions</a></p></Empty></section>;
  }
  return (
    <>
      <section class="pane detail" aria-label="Session">
        <header class="head">
          <a class="back" href={back}>‹ Sessions</a>
          <h1 tabIndex={-1} ref={top}><bdi>{data.title || 'Untitled'}</bdi></h1>
          <p class="line">
            <Badge of={data.kind} /> <Badge of={data.status} />
            <span class="soft"><Time at={data.createdAt} /> to <Time at={data.lastActiveAt} /></span>
            <span class="soft figure">{count(data.messageCount)} {data.messageCount === 1 ? 'message' : 'messages'}</span>
            {data.usage?.totalTokens != null && <span class="soft figure">{count(data.usage.totalTokens)} tokens</span>}
            {data.usage?.costUsd != null && <span class="soft figure">{dollars(data.usage.costUsd)}</span>}
            <Annotations of={data.annotations.nodes} target={{ id, what: 'session' }} />
            <span class="soft">{data.externalId ?? ''}</span> <Copy text={data.id} what="session id" />
          </p>
          <People head={data} />
          <div class="tabs" role="tablist" aria-label="Parts of the session">
            {Object.entries(OF_KIND[data.kind] ? { ...TABS, kind: OF_KIND[data.kind]! } : TABS).map(([key, text]) => (
              <button key={key} type="button" role="tab" aria-selected={key === tab} onClick={() => put({ tab: key, why: null })}>{text}</button>
            ))}
          </div>
        </header>
        {tab === '' && <Conversation key={`${query.get('branch')}/${query.get('thread')}`} head={data} query={query} />}
        {tab === 'memories' && <Memories id={id} />}
        {tab === 'traces' && <Traces id={id} />}
        {tab === 'kind' && <Kind id={id} />}
        {tab === 'context' && <Context head={data} />}
      </section>
      {why && <Why id={why} />}
    </>
  );
}

function People({ head }: { head: Head }) {
  const [all, setAll] = useState(false);
  const people = head.participants.nodes;
  const shown = all ? people : people.slice(0, 8);
  return (
    <p class="line people" role="group" aria-label="Participants">
      {shown.map(({ id, name, type, role, leftAt, actor }) => {
        const inside = <><span class={`dot ${type}`} /> <bdi>{name}</bdi>{role && <span class="soft"> {role}</span>}{leftAt && <span class="soft"> left</span>}</>;
        return actor ? <a key={id} class="person" href={to(['memories'], { owner: actor.id })} title="Its memories">{inside}</a> : <span key={id} class="person">{inside}</span>;
      })}
      {people.length > shown.length && <button type="button" class="quiet" onClick={() => setAll(true)}>{people.length - shown.length} more</button>}
      {head.participants.pageInfo.hasNextPage && all && <span class="soft">and more</span>}
    </p>
  );
}

function Memories({ id }: { id: string }) {
  const { data, error } = useLoad(id, async (signal) => (await ask(SessionMemories, { id }, signal)).session?.memories);
  if (error) return <Trouble error={error} />;
  if (data && !data.nodes.length) return <Empty title="No memories"><p>None was formed here or used here. An agent forms them by <code>createMemory</code> with a <code>sourceMessage</code>.</p></Empty>;
  return (
    <ul class="cards">
      {data?.nodes.map((memory) => (
        <li key={memory.id}>
          <a class="card" href={to(['memories', memory.id])}>
            <span class="line"><Badge of={memory.type} /> <Time at={memory.createdAt} /></span>
            <bdi>{memory.text}</bdi>
            <Score of="importance" value={memory.importance} />
            <Score of="freshness" value={memory.decayFactor} />
          </a>
        </li>
      ))}
    </ul>
  );
}

function Traces({ id }: { id: string }) {
  const { data, error } = useLoad(id, async (signal) => (await ask(SessionTraces, { id }, signal)).session?.traces);
  if (error) return <Trouble error={error} />;
  if (data && !data.nodes.length) return <Empty title="No traces"><p>Agents that are instrumented with OpenTelemetry send them to <code>{new URL('v1/traces', document.baseURI).href}</code>.</p></Empty>;
  return (
    <div class="scroll" tabIndex={0}>
      <table class="wide">
        <thead><tr><th>Trace</th><th>Began</th><th>Took</th><th>Tokens</th><th>Cost</th></tr></thead>
        <tbody>
          {data?.nodes.map((trace) => (
            <tr key={trace.id}>
              <td><a href={to(['traces', trace.traceId])}><bdi>{trace.root?.name ?? trace.traceId}</bdi></a> {trace.statusCode === 'ERROR' && <Badge of="ERROR" />}</td>
              <td><Time at={trace.startedAt} /></td>
              <td>{trace.durationMs == null ? 'running' : span(trace.durationMs)}</td>
              <td>{trace.usage?.totalTokens == null ? '' : count(trace.usage.totalTokens)}</td>
              <td>{trace.usage?.costUsd == null ? '' : dollars(trace.usage.costUsd)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const Context = ({ head }: { head: Head }) => (
  <div class="body" tabIndex={0}>
    <h2>Context</h2>
    <Json value={head.context} label="context" />
    <h2>Metadata</h2>
    <Json value={head.metadata} label="metadata" />
    {head.capabilities.length > 0 && <><h2>Capabilities</h2><p>{head.capabilities.map((one) => <span class="badge">{one}</span>)}</p></>}
    {head.forkedFrom?.session && (
      <p>It is a copy of <a href={to(['sessions', head.forkedFrom.session.id], { message: head.forkedFrom.id })}><bdi>{head.forkedFrom.session.title}</bdi></a> up to a message.</p>
    )}
  </div>
);
