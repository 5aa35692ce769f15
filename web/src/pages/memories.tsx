import { Memories, MemoryChanges, Owners, SearchMemories, type MemoryRow, type Parts } from '../documents.ts';
import { ask, follow } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useColumns } from '../parts/columns.tsx';
import { LiveBar, useLiveRows } from '../parts/livebar.tsx';
import { useCalm, useLoad } from '../parts/load.ts';
import { Badge, Empty, Scores, Time, Trouble, span } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { AsOf } from '../parts/asof.tsx';
import { lazy } from '../parts/lazy.tsx';
import { GraphView } from './graph.tsx';
import { MemoryView } from './memory.tsx';

const ForecastView = lazy(async () => (await import('./forecast.tsx')).ForecastView);

const ROW = 78;
const PAGE = 60;
const FILTERS = ['text', 'owner', 'type', 'status', 'sort', 'mode', 'asOf'];

export const memoryFilter = (query: URLSearchParams) => ({
  ...(query.get('owner') ? { owner: { id: query.get('owner')! } } : {}),
  ...(query.get('type') ? { types: [query.get('type') as 'SEMANTIC'] } : {}),
  ...(query.get('status') ? { statuses: [query.get('status') as 'ACTIVE'] } : {}),
});

export default function MemoriesPage({ path, query }: PageProps) {
  const [open] = path;
  if (query.get('view') === 'graph' && !open) return <GraphView query={query} />;
  if (query.get('view') === 'forecast' && !open) return <ForecastView query={query} />;
  return (
    <div class={open ? 'split open' : 'split'}>
      <section class="sessions pane" aria-label="Memories">
        <Filters query={query} />
        {query.get('text') ? <Found query={query} open={open} /> : <All query={query} open={open} />}
      </section>
      {open && <MemoryView key={open} id={open} query={query} />}
    </div>
  );
}

const keptOf = (query: URLSearchParams) => new URLSearchParams([...query].filter(([name]) => FILTERS.includes(name)));

const RANKS: Record<string, (row: MemoryRow) => string | number | null> = {
  UPDATED_AT: (row) => row.updatedAt,
  CREATED_AT: (row) => row.createdAt,
  IMPORTANCE: (row) => row.importance,
  ACCESS_COUNT: (row) => row.accessCount,
  LAST_ACCESSED_AT: (row) => row.lastAccessedAt,
};

function All({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const kept = keptOf(query);
  const key = useCalm(kept.toString());
  const filter = memoryFilter(kept);
  const asOf = kept.get('asOf');
  const field = (kept.get('sort') ?? 'UPDATED_AT') as 'UPDATED_AT';
  const live = useLiveRows<MemoryRow>(key, {
    page: async (after, signal) => {
      const { memories, memoryCursor } = await ask(Memories, { first: PAGE, after, filter, orderBy: { field, direction: 'DESC' }, asOf }, signal);
      return [memories, after === null && !asOf ? memoryCursor : undefined]; // what was known then changes no more
    },
    follow: (after, told, signal) =>
      follow(MemoryChanges, { filter, after }, (data) => data.memoryChanges, ({ memoryId, left, memory }) => told(memoryId, left ? null : memory), signal),
    rank: RANKS[field]!,
  });
  const { list } = live;
  const [columns, chooser] = useColumns('memories', COLUMNS);
  return (
    <>
      <LiveBar live={live} what="memories" past={asOf !== null}>{chooser}</LiveBar>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !list.rows.length && (
        <Empty title={kept.size ? 'No memory is like that' : 'No memories yet'}>
          {kept.size ? <p><button type="button" onClick={() => put(Object.fromEntries(FILTERS.map((name) => [name, null])))}>Take the filters away</button></p> : <p>Agents make them by <code>createMemory</code>; an import makes them with <code>recollect import FILE --memories</code>.</p>}
        </Empty>
      )}
      {list.rows.length > 0 && (
        <List rows={list.rows} label="Memories" height={ROW} id={({ id }) => id} selected={open} hasMore={list.hasMore} onMore={list.more}
          address={({ id }) => to(['memories', id], Object.fromEntries(kept))} draw={(row) => <Row row={row} columns={columns} />} />
      )}
    </>
  );
}

const COLUMNS = { type: ['type', true], status: ['status', true], owner: ['owner', true], tags: ['tags', false], used: ['how often used', false], weight: ['importance and freshness', true], changed: ['when it changed', true] } as const;

const Row = ({ row, columns }: { row: MemoryRow; columns: ReadonlySet<string> }) => (
  <>
    <span class="two" dir="auto">{row.text}</span>
    <span class="second">
      {columns.has('type') && <Badge of={row.type} />}
      {columns.has('status') && row.status !== 'ACTIVE' && <Badge of={row.status} />}
      <span class="soft cut"><bdi>{columns.has('owner') && (row.owner?.name ?? row.scope.toLowerCase())}</bdi> {columns.has('tags') && <bdi>{row.tags.join(', ')}</bdi>}</span>
      {columns.has('used') && <span class="soft figure">used {row.accessCount} times</span>}
      {columns.has('weight') && <Weight row={row} />}
      {columns.has('changed') && <span class="soft"><Time at={row.updatedAt} /></span>}
    </span>
  </>
);

/** Importance as the bar's length, freshness as its strength. */
const Weight = ({ row }: { row: MemoryRow }) => (
  <span class="gauge small" title={`importance ${row.importance.toFixed(2)}, freshness ${row.decayFactor.toFixed(2)}`}>
    <span style={{ transform: `scaleX(${row.importance})`, opacity: 0.25 + 0.75 * row.decayFactor }} />
  </span>
);

function Found({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const kept = keptOf(query);
  const key = useCalm(kept.toString());
  const mode = (kept.get('mode') ?? 'HYBRID') as 'HYBRID';
  const { data, error, busy, again } = useLoad(key, async (signal) => {
    const filter = memoryFilter(kept);
    return (await ask(SearchMemories, { query: { text: kept.get('text')! }, mode, threshold: 0, filter: Object.keys(filter).length ? filter : null, asOf: kept.get('asOf') }, signal)).searchMemories;
  });
  return (
    <>
      <div class="bar">
        <span class="soft" role="status">{busy ? 'Searching…' : data ? `${data.hits.length} found in ${span(data.tookMs)}${data.degraded ? ', perhaps not all: a store is away' : ''}` : ''}</span>
      </div>
      {error && <Trouble error={error} again={again} />}
      {data && !data.hits.length && <Empty title="Nothing like that is remembered"><p>Try other words, or search by meaning alone.</p></Empty>}
      <ol class="hits" data-list>
        {data?.hits.map(({ memory, score, parts, folded }, index) => (
          <li key={memory.id} class="card">
            <a class="title" dir="auto" href={to(['memories', memory.id], Object.fromEntries(kept))} data-index={index} aria-current={memory.id === open ? 'true' : undefined}>{memory.text}</a>
            <p class="line"><Badge of={memory.type} /> <span class="soft"><bdi>{memory.owner?.name ?? memory.scope.toLowerCase()}</bdi></span> <Time at={memory.createdAt} /></p>
            <Reasons score={score} parts={parts} />
            {folded.length > 0 && <details><summary class="soft">{folded.length} that say the same</summary><ul class="plain">{folded.map(({ id, text }) => <li key={id}><a href={to(['memories', id])}><bdi>{text}</bdi></a></li>)}</ul></details>}
          </li>
        ))}
      </ol>
    </>
  );
}

/** The score as a bar; why, on request. */
const Reasons = ({ score, parts }: { score: number; parts: Parts }) => (
  <>
    <Scores score={score} />
    <details class="reasons"><summary class="soft">Why was this found?</summary><Scores score={score} parts={parts} /></details>
  </>
);

function Filters({ query }: { query: URLSearchParams }) {
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  const owners = [...(data?.users.nodes ?? []), ...(data?.agents.nodes ?? [])];
  const select = (name: string, label: string, options: Record<string, string>) => (
    <select aria-label={label} value={query.get(name) ?? ''} onChange={(event) => put({ [name]: event.currentTarget.value })}>
      {Object.entries(options).map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  );
  return (
    <div class="filters" role="search">
      <input type="search" placeholder="What is remembered of…" aria-label="Search memories" value={query.get('text') ?? ''} onInput={(event) => put({ text: event.currentTarget.value })} />
      {query.get('text') && select('mode', 'Mode', { '': 'words and meaning', SEMANTIC: 'meaning', TEXT: 'words' })}
      {select('owner', 'Owner', { '': "anyone's", ...Object.fromEntries(owners.map(({ id, name }) => [id, name])) })}
      {select('type', 'Type', { '': 'any type', EPISODIC: 'episodic', SEMANTIC: 'semantic', PROCEDURAL: 'procedural', WORKING: 'working' })}
      {!query.get('text') && select('status', 'Status', { '': 'any status', ACTIVE: 'active', ARCHIVED: 'archived', SUPERSEDED: 'superseded' })}
      {!query.get('text') && select('sort', 'Order', { '': 'last changed', CREATED_AT: 'newest', IMPORTANCE: 'most important', ACCESS_COUNT: 'most used', LAST_ACCESSED_AT: 'last used' })}
      <AsOf query={query} />
      <a class="button" href={to(['memories'], { view: 'graph', ...Object.fromEntries(['text', 'owner', 'type', 'asOf'].map((name) => [name, query.get(name) ?? ''])) })}>Graph</a>
      <a class="button" href={to(['memories'], { view: 'forecast', owner: query.get('owner') ?? '' })}>Forecast</a>
    </div>
  );
}
