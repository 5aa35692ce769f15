/** Why a message says what it says: the memories it drew on, why they were found, and where those come from. */
import { Provenance } from '../documents.ts';
import { place, put, to } from '../route.ts';
import { ask } from '../server.ts';
import { useLoad } from '../parts/load.ts';
import { Source } from './memory.tsx';
import { Badge, Empty, Scores, Trouble } from '../parts/show.tsx';

export function Why({ id }: { id: string }) {
  const { data, error, busy } = useLoad(id, async (signal) => (await ask(Provenance, { id }, signal)).node);
  const question = new Set([id, ...(place.value.query.get('question') ?? '').split(' ')]);
  return (
    <aside class="pane why" aria-label="Why">
      <header class="line"><h2>Why it says that</h2><button type="button" class="quiet" onClick={() => put({ why: null, question: null })} aria-label="Close">✕</button></header>
      {error && <Trouble error={error} />}
      {!data && busy && <p class="soft">Loading…</p>}
      {data?.__typename === 'Message' && <Found message={data} question={question} />}
    </aside>
  );
}

type Message = Extract<NonNullable<Awaited<ReturnType<typeof readOne>>>, { __typename: 'Message' }>;
const readOne = async (id: string) => (await ask(Provenance, { id })).node;

function Found({ message, question }: { message: Message; question: Set<string> }) {
  if (message.parent) question.add(message.parent.id);
  const spans = new Map([...(message.span ? [message.span] : []), ...message.trace.nodes.flatMap(({ span }) => (span ? [span] : []))].map((span) => [span.id, span]));
  return (
    <>
      {!message.memoryRefs.length && <Empty title="No memory is named"><p>The message names no memories it drew on. An agent names them by <code>memoryRefs</code>, and <code>recall</code> logs why they were found.</p></Empty>}
      {message.memoryRefs.map(({ memory, score, note }) => {
        const recall = memory.recalls.nodes.find(({ message: of }) => of && question.has(of.id));
        return (
          <section key={memory.id} class="card">
            <p class="line"><Badge of={memory.type} /> <a href={to(['memories', memory.id])}>memory</a> <a href={to(['memories'], { view: 'graph', start: memory.id })}>in the graph</a></p>
            <p dir="auto">{memory.text}</p>
            {note && <p class="soft" dir="auto">{note}</p>}
            {(recall || score != null) && <Scores score={recall?.score ?? score ?? 0} parts={recall?.parts} />}
            {!recall && <p class="soft">Its recall was not logged: only the score that the agent gave is known.</p>}
            {memory.sources.length > 0 && <p class="soft">It was formed from</p>}
            {memory.sources.map((one, nth) => <Source key={nth} of={one} />)}
          </section>
        );
      })}
      {spans.size > 0 && (
        <>
          <h2>The work on it</h2>
          <ul class="plain">
            {[...spans.values()].map((span) => <li key={span.id}><a href={to(['traces', span.traceId], { span: span.id })}><bdi>{span.name}</bdi></a></li>)}
          </ul>
        </>
      )}
      {message.formedMemories.length > 0 && (
        <>
          <h2>Remembered of it</h2>
          <ul class="plain">{message.formedMemories.map(({ id, text, type }) => <li key={id}><Badge of={type} /> <a href={to(['memories', id])}><bdi>{text}</bdi></a></li>)}</ul>
        </>
      )}
    </>
  );
}
