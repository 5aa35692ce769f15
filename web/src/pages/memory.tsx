/** One memory: what it says, where it comes from, where it was used, what it is linked to, and what it was before. */
import { MemoryDetail, type MemoryDetail as Detail } from '../documents.ts';
import { go, to } from '../route.ts';
import { ask } from '../server.ts';
import { Annotations, annotateKey } from '../parts/annotations.tsx';
import { Diff, Lines } from '../parts/diff.tsx';
import { Json } from '../parts/json.tsx';
import { useLoad } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Copy, Empty, Score, Scores, Time, Trouble } from '../parts/show.tsx';

export function MemoryView({ id, query }: { id: string; query: URLSearchParams }) {
  const asOf = query.get('asOf');
  const { data, error, busy, again } = useLoad(`${id} ${asOf}`, async (signal) => (await ask(MemoryDetail, { id, asOf }, signal)).memory);
  const back = to(['memories'], Object.fromEntries(query));
  useKeys([
    { key: 'Escape', does: 'Back to the list', run: () => go(back) },
    { key: 'g', does: 'In the graph', run: () => go(to(['memories'], { view: 'graph', start: id, asOf: asOf ?? '' })) },
  ]);
  return (
    <section class="pane detail" aria-label="Memory">
      {error && <Trouble error={error} again={again} />}
      {busy && !data && <p class="soft wait">Loading…</p>}
      {!busy && data === null && asOf && <Empty title="It was not known then"><p><a href={to(['memories', id])}>As it is now</a></p></Empty>}
      {!busy && data === null && !asOf && <Empty title="There is no such memory"><p>It may have expired or been deleted. <a href={back}>To the memories</a></p></Empty>}
      {data && (
        <div class="body" tabIndex={0}>
          <a class="back" href={back}>‹ Memories</a>
          {asOf && <p class="card line">As it was known at {new Date(asOf).toLocaleString()}. <a href={to(['memories', id])}>As it is now</a></p>}
          <MemoryShown memory={data} asOf={asOf} />
        </div>
      )}
    </section>
  );
}

export function MemoryShown({ memory, asOf = null }: { memory: Detail; asOf?: string | null }) {
  useKeys([annotateKey({ id: memory.id, what: 'memory' })]);
  const { sources, owner } = memory;
  return (
    <>
      <p class="line">
        <Badge of={memory.type} /> <Badge of={memory.status} />
        {owner ? <a href={to(['memories'], { owner: owner.id })}><bdi>{owner.name}</bdi></a> : <span class="soft">{memory.scope.toLowerCase()}</span>}
        <Annotations of={memory.annotations.nodes} target={{ id: memory.id, what: 'memory' }} />
        <a href={to(['memories'], { view: 'graph', start: memory.id, asOf: asOf ?? '' })}>in the graph</a> <Copy text={memory.id} what="memory id" />
      </p>
      <h1 class="said" dir="auto" tabIndex={-1}>{memory.text}</h1>
      {memory.tags.length > 0 && <p class="line">{memory.tags.map((tag) => <span key={tag} class="badge"><bdi>{tag}</bdi></span>)}</p>}
      <div class="scores">
        <Score of="importance" value={memory.importance} />
        <Score of="freshness" value={memory.decayFactor} title="From 1 down to 0.1; each use adds 0.1" />
      </div>
      <dl class="facts">
        <div><dt>created</dt><dd><Time at={memory.createdAt} /></dd></div>
        <div><dt>changed</dt><dd><Time at={memory.updatedAt} /></dd></div>
        <div><dt>used</dt><dd>{memory.accessCount} times</dd></div>
        {memory.lastAccessedAt && <div><dt>last used</dt><dd><Time at={memory.lastAccessedAt} /></dd></div>}
        {memory.validFrom && <div><dt>true from</dt><dd><Time at={memory.validFrom} /></dd></div>}
        {memory.validUntil && <div><dt>true until</dt><dd><Time at={memory.validUntil} /></dd></div>}
        {memory.expiresAt && <div><dt>expires</dt><dd><Time at={memory.expiresAt} /></dd></div>}
        <div><dt>version</dt><dd>{memory.version}</dd></div>
      </dl>
      {sources.length > 0 && <h2>Where it comes from</h2>}
      {memory.stale && <p class="soft">What it was formed from was changed since, or is gone.</p>}
      {sources.map((one, nth) => <Source key={nth} of={one} />)}
      {memory.entities.length > 0 && (
        <>
          <h2>What it mentions</h2>
          <p class="line">{memory.entities.map(({ id, name, type }) => <a key={id} href={to(['memories'], { view: 'graph', start: id, node: id })}><bdi>{name}</bdi> <span class="soft">{type}</span></a>)}</p>
        </>
      )}
      <Used memory={memory} />
      <Linked memory={memory} />
      {!asOf && <History memory={memory} />}
      {Object.keys((memory.metadata ?? {}) as object).length > 0 && <><h2>Metadata</h2><Json value={memory.metadata} label="metadata" /></>}
    </>
  );
}

export function Source({ of: source }: { of: Detail['sources'][number] }) {
  switch (source.__typename) {
    case 'Message':
      return (
        <p class="source">
          <a href={source.session ? to(['sessions', source.session.id], { message: source.id }) : undefined}><bdi>{source.sender.name}: {source.text.slice(0, 400)}</bdi></a>
          {source.session && <span class="soft"> in <bdi>{source.session.title}</bdi></span>}
        </p>
      );
    case 'Span':
      return <p class="source"><a href={to(['traces', source.traceId], { span: source.id })}><bdi>{source.name}</bdi></a></p>;
    case 'Blob':
      return <p class="source">the file <bdi>{source.filename}</bdi></p>;
    default:
      return <p class="source"><code>{source.uri}</code></p>;
  }
}

function Used({ memory }: { memory: Detail }) {
  const { referencedBy, recalls } = memory;
  if (!referencedBy.nodes.length && !recalls.nodes.length) return <><h2>Where it was used</h2><p class="soft">Nowhere yet.</p></>;
  return (
    <>
      {referencedBy.nodes.length > 0 && <h2>Messages that drew on it</h2>}
      <ul class="plain">
        {referencedBy.nodes.map(({ id, text, sender, session, createdAt }) => (
          <li key={id}><a href={session ? to(['sessions', session.id], { message: id, why: id }) : undefined}><bdi>{sender.name}: {text.slice(0, 160)}</bdi></a> <span class="soft"><Time at={createdAt} /></span></li>
        ))}
        {referencedBy.pageInfo.hasNextPage && <li class="soft">and more</li>}
      </ul>
      {recalls.nodes.length > 0 && <h2>Recalls, and why it was found</h2>}
      {recalls.nodes.map(({ id, score, parts, message, session, recalledAt }) => (
        <details key={id} class="call">
          <summary>
            <span class="figure">{score.toFixed(2)}</span>
            <span class="cut"><bdi>{message?.text ?? session?.title ?? 'a search'}</bdi></span>
            <span class="soft"><Time at={recalledAt} /></span>
          </summary>
          <Scores score={score} parts={parts} />
          {message?.session && <a href={to(['sessions', message.session.id], { message: message.id })}>To the message</a>}
        </details>
      ))}
      {recalls.pageInfo.hasNextPage && <p class="soft">and more</p>}
    </>
  );
}

function Linked({ memory }: { memory: Detail }) {
  if (!memory.links.nodes.length) return null;
  return (
    <>
      <h2>Links</h2>
      <ul class="plain">
        {memory.links.nodes.map(({ id, kind, weight, source, target }) => {
          const isOut = source?.id === memory.id;
          const other = isOut ? target : source;
          return other && <li key={id}><span class="soft">{isOut ? '' : '← '}{kind.toLowerCase().replaceAll('_', ' ')}{isOut ? ' →' : ''} {weight.toFixed(2)}</span> <a href={to(['memories', other.id])}><bdi>{other.text}</bdi></a></li>;
        })}
        {memory.links.pageInfo.hasNextPage && <li class="soft">and more</li>}
      </ul>
    </>
  );
}

type Version = Detail['history']['nodes'][number];

/** What else than the text is another in a version: its name, before, after. */
function otherwise(version: Version, next: Version | Detail): [string, string, string][] {
  const shown = (value: unknown): string => (value == null ? 'none' : String(value));
  const told: [string, string, string][] = [
    ['importance', shown(version.importance), shown(next.importance)],
    ['status', version.status.toLowerCase(), next.status.toLowerCase()],
    ['tags', version.tags.join(', ') || 'none', next.tags.join(', ') || 'none'],
    ['true from', shown(version.validFrom), shown(next.validFrom)],
    ['true until', shown(version.validUntil), shown(next.validUntil)],
  ];
  return told.filter(([, before, after]) => before !== after);
}

const CAUSES: Record<string, string> = { REFORMED: 'formed anew', EVICTED: 'archived as the capacity was reached', RELEASED: 'active again' };

/** Each version with what the next one changed of it. */
function History({ memory }: { memory: Detail }) {
  const versions = memory.history.nodes;
  if (!versions.length) return null;
  return (
    <>
      <h2>What it was before</h2>
      {versions.map((version, index) => {
        const next = versions[index - 1] ?? memory;
        const metadata = [version, next].map((one) => JSON.stringify(one.metadata, null, 2) ?? '') as [string, string];
        return (
          <section key={version.id} class="card" aria-label={`Version ${version.version}`}>
            <p class="line">
              <span class="soft">version {version.version}{version.recordedAt && <>, from <Time at={version.recordedAt} /></>} until</span> <Time at={version.replacedAt} />
              {version.cause && <span class="badge">{CAUSES[version.cause] ?? version.cause.toLowerCase()}</span>}
              {version.recordedAt && <a href={to(['memories', memory.id], { asOf: version.recordedAt })}>as it was then</a>}
            </p>
            {version.text === next.text ? <p class="soft">The text stayed.</p> : <Diff before={version.text} after={next.text} />}
            {otherwise(version, next).map(([name, before, after]) => <p key={name} class="soft">{name} <bdi>{before}</bdi> → <bdi>{after}</bdi></p>)}
            {metadata[0] !== metadata[1] && <><p class="soft">metadata</p><Lines before={metadata[0]} after={metadata[1]} label="Metadata, line by line" /></>}
          </section>
        );
      })}
    </>
  );
}
