import { Owners, TraceChanges, Traces, type TraceListFilter, type TraceOrder, type TraceRow } from '../documents.ts';
import { ask, follow } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useColumns } from '../parts/columns.tsx';
import { LiveBar, useLiveRows } from '../parts/livebar.tsx';
import { useCalm, useLoad } from '../parts/load.ts';
import { COSTS, Empty, Trouble } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { TraceView } from './trace.tsx';
import { lazy } from '../parts/lazy.tsx';
import { TraceLine } from '../parts/traceline.tsx';

const Compare = lazy(async () => (await import('./compare.tsx')).Compare);

const ROW = 64;
const PAGE = 60;
const FILTERS = ['text', 'kind', 'model', 'agent', 'status', 'slower', 'dearer', 'running', 'sort'];

function filterOf(query: URLSearchParams): TraceListFilter {
  const of = (name: string) => query.get(name);
  const span: NonNullable<TraceListFilter['span']> = {
    ...(of('text') ? { text: of('text') } : {}),
    ...(of('kind') ? { kinds: [of('kind') as 'LLM'] } : {}),
    ...(of('model') ? { models: [of('model')!] } : {}),
    ...(of('agent') ? { agent: { id: of('agent')! } } : {}),
  };
  return {
    ...(Object.keys(span).length ? { span } : {}),
    ...(of('status') ? { statusCodes: [of('status') as 'ERROR'] } : {}),
    ...(of('slower') ? { durationMs: { min: Number(of('slower')) } } : {}),
    ...(of('dearer') ? { costUsd: { min: Number(of('dearer')) } } : {}),
    ...(of('running') ? { running: true } : {}),
  };
}

const orderOf = (query: URLSearchParams): TraceOrder => ({ field: (query.get('sort') ?? 'STARTED_AT') as 'STARTED_AT', direction: 'DESC' });

export default function TracesPage({ path, query }: PageProps) {
  const [open, mode, other] = path;
  if (open && mode === 'compare') return <Compare key={open} traceId={open} other={other} query={query} />;
  return (
    <div class={open ? 'split open traces' : 'split traces'}>
      <Sidebar query={query} open={open} />
      {open && <TraceView key={open} traceId={open} query={query} />}
    </div>
  );
}

const RANKS: Record<string, (row: TraceRow) => string | number | null> = {
  STARTED_AT: (row) => row.startedAt,
  DURATION: (row) => row.durationMs,
  COST: (row) => row.usage?.costUsd ?? null,
  TOKENS: (row) => row.usage?.totalTokens ?? null,
  ERRORS: (row) => row.errorSpans,
};

function Sidebar({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const kept = new URLSearchParams([...query].filter(([name]) => FILTERS.includes(name)));
  const key = useCalm(kept.toString());
  const [filter, orderBy] = [filterOf(kept), orderOf(kept)];
  const live = useLiveRows<TraceRow>(key, {
    page: async (after, signal) => {
      const { traces, traceChangeCursor } = await ask(Traces, { first: PAGE, after, filter, orderBy }, signal);
      return [traces, after === null ? traceChangeCursor : undefined];
    },
    follow: (after, told, signal) =>
      follow(TraceChanges, { filter, after }, (data) => data.traceChanges, ({ traceId, left, trace }) => told(traceId, left ? null : trace), signal),
    named: ({ traceId }) => traceId,
    rank: RANKS[orderBy.field!]!,
  });
  const { list } = live;
  const [columns, chooser] = useColumns('traces', COLUMNS);
  const { rows } = list;
  return (
    <section class="sessions pane" aria-label="Traces">
      <Filters query={query} />
      <LiveBar live={live} what="traces">{chooser}</LiveBar>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !rows.length && <Nothing filtered={kept.size > 0} />}
      {rows.length > 0 && (
        <List rows={rows} label="Traces" height={ROW} id={({ traceId }) => traceId} selected={open} hasMore={list.hasMore} onMore={list.more}
          address={({ traceId }) => to(['traces', traceId], Object.fromEntries(kept))} draw={(row) => <TraceLine row={row} columns={columns} />} />
      )}
    </section>
  );
}

const COLUMNS = { kind: ['kind', true], session: ['session', true], tokens: ['tokens', true], cost: ['cost', true], took: ['duration', true], began: ['when it began', true] } as const;

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty title="No trace is like that"><p><button type="button" onClick={() => put(Object.fromEntries(FILTERS.map((name) => [name, null])))}>Take the filters away</button></p></Empty>;
  return (
    <Empty title="No traces yet">
      <p>Agents that are instrumented with OpenTelemetry send theirs here:</p>
      <pre>OTEL_EXPORTER_OTLP_ENDPOINT={document.baseURI.replace(/\/$/, '')}</pre>
      <p>Others write them by <code>startSpan</code> and <code>endSpan</code>.</p>
    </Empty>
  );
}

const KINDS = ['AGENT', 'LLM', 'TOOL', 'RETRIEVER', 'EMBEDDING', 'CHAIN', 'REASONING', 'OTHER'];

function Filters({ query }: { query: URLSearchParams }) {
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  const select = (name: string, label: string, options: Record<string, string>) => (
    <select aria-label={label} value={query.get(name) ?? ''} onChange={(event) => put({ [name]: event.currentTarget.value })}>
      {Object.entries(options).map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  );
  return (
    <div class="filters" role="search">
      <input type="search" placeholder="Words in a span" aria-label="Words in a span" value={query.get('text') ?? ''} onInput={(event) => put({ text: event.currentTarget.value })} />
      {select('kind', 'Kind', { '': 'any kind', ...Object.fromEntries(KINDS.map((kind) => [kind, kind.toLowerCase()])) })}
      {select('status', 'Status', { '': 'any status', ERROR: 'failed', OK: 'ok' })}
      {select('slower', 'Duration', { '': 'any duration', 100: '100 ms and more', 1000: '1 s and more', 10000: '10 s and more' })}
      {select('agent', 'Agent', { '': 'any agent', ...Object.fromEntries((data?.agents.nodes ?? []).map(({ id, name }) => [id, name])) })}
      {select('dearer', 'Cost', { '': 'any cost', ...COSTS })}
      {select('running', 'Running', { '': 'ended or not', yes: 'running' })}
      <input type="text" placeholder="model" aria-label="Model" value={query.get('model') ?? ''} onChange={(event) => put({ model: event.currentTarget.value })} />
      {select('sort', 'Order', { '': 'newest', DURATION: 'slowest', COST: 'dearest', TOKENS: 'most tokens', ERRORS: 'most errors' })}
    </div>
  );
}
