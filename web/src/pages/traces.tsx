import { useState } from 'preact/hooks';
import { RootSpans, type SpanFilter, type SpanOrder, type SpanRow } from '../documents.ts';
import { ask } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useCalm, useClock, useLive, useRows } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Time, Trouble, count, dollars, span } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { TraceView } from './trace.tsx';

const ROW = 64;
const PAGE = 60;
const EVERY_MS = 2500;
const FILTERS = ['name', 'kind', 'status', 'slower', 'running', 'sort'];

function filterOf(query: URLSearchParams): SpanFilter {
  const of = (name: string) => query.get(name);
  return {
    ...(of('name') ? { names: [of('name')!] } : {}),
    ...(of('kind') ? { kinds: [of('kind')] as SpanFilter['kinds'] } : {}),
    ...(of('status') ? { statusCodes: [of('status')] as SpanFilter['statusCodes'] } : {}),
    ...(of('slower') ? { minDurationMs: Number(of('slower')) } : {}),
    ...(of('running') ? { running: true } : {}),
  };
}

const orderOf = (query: URLSearchParams): SpanOrder => ({ field: (query.get('sort') ?? 'STARTED_AT') as 'STARTED_AT', direction: 'DESC' });

export default function TracesPage({ path, query }: PageProps) {
  const [open] = path;
  return (
    <div class={open ? 'split open traces' : 'split traces'}>
      <Sidebar query={query} open={open} />
      {open && <TraceView key={open} traceId={open} query={query} />}
    </div>
  );
}

/** Of each trace one row: of its first span where that is among them. */
function oneEach(rows: readonly SpanRow[]): SpanRow[] {
  const found = new Map<string, SpanRow>();
  for (const row of rows) {
    const known = found.get(row.traceId);
    if (!known || (known.parentSpanId !== null && row.parentSpanId === null)) found.set(row.traceId, row);
  }
  return [...found.values()];
}

function Sidebar({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const [paused, setPaused] = useState(false);
  const kept = new URLSearchParams([...query].filter(([name]) => FILTERS.includes(name)));
  const key = useCalm(kept.toString());
  const variables = (after: string | null) => ({ first: PAGE, after, filter: filterOf(kept), orderBy: orderOf(kept) });
  const list = useRows<SpanRow>(key, async (after, signal) => (await ask(RootSpans, variables(after), signal)).spans);
  useLive(paused ? undefined : key, async (signal) => {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (signal.aborted || document.hidden) continue;
      const found = await ask(RootSpans, variables(null), signal).catch(() => undefined);
      if (!found || signal.aborted) continue;
      const first = new Set(found.spans.nodes.map(({ id }) => id));
      list.change((rows) => [...found.spans.nodes, ...rows.filter(({ id }) => !first.has(id))]);
    }
  });
  useKeys([{ key: 'p', does: paused ? 'Live again' : 'Pause', run: () => setPaused(!paused) }]);
  const rows = oneEach(list.rows);
  return (
    <section class="sessions pane" aria-label="Traces">
      <Filters query={query} />
      <div class="bar">
        <button type="button" class="quiet" aria-pressed={paused} onClick={() => setPaused(!paused)}><span class={paused ? 'dot' : 'dot live'} /> {paused ? 'paused' : 'live'}</button>
        <span class="soft" role="status">{list.busy ? 'Loading…' : `${rows.length}${list.hasMore ? '+' : ''} traces`}</span>
      </div>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !rows.length && <Nothing filtered={kept.size > 0} />}
      {rows.length > 0 && (
        <List rows={rows} label="Traces" height={ROW} id={({ traceId }) => traceId} selected={open} hasMore={list.hasMore} onMore={list.more}
          address={({ traceId }) => to(['traces', traceId], Object.fromEntries(kept))} draw={(row) => <Row row={row} />} />
      )}
    </section>
  );
}

function Row({ row }: { row: SpanRow }) {
  const now = useClock(row.endedAt === null);
  return (
    <>
      <span class="first"><bdi class="title">{row.name}</bdi><Time at={row.startedAt} /></span>
      <span class="second">
        <Badge of={row.kind} />
        {row.statusCode === 'ERROR' && <Badge of="ERROR" />}
        {row.endedAt === null && <span class="dot live" />}
        <span class="soft cut"><bdi>{row.session?.title ?? ''}</bdi></span>
        {row.usage?.totalTokens != null && <span class="soft figure">{count(row.usage.totalTokens)} tokens</span>}
        {row.usage?.costUsd != null && <span class="soft figure">{dollars(row.usage.costUsd)}</span>}
        <span class="soft figure">{span(row.durationMs ?? Math.max(0, now - Date.parse(row.startedAt)))}</span>
      </span>
    </>
  );
}

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
  const select = (name: string, label: string, options: Record<string, string>) => (
    <select aria-label={label} value={query.get(name) ?? ''} onChange={(event) => put({ [name]: event.currentTarget.value })}>
      {Object.entries(options).map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  );
  return (
    <div class="filters" role="search">
      <input type="search" placeholder="Name of a span" aria-label="Name of a span" value={query.get('name') ?? ''} onInput={(event) => put({ name: event.currentTarget.value })} />
      {select('kind', 'Kind', { '': 'any kind', ...Object.fromEntries(KINDS.map((kind) => [kind, kind.toLowerCase()])) })}
      {select('status', 'Status', { '': 'any status', ERROR: 'failed', OK: 'ok' })}
      {select('slower', 'Duration', { '': 'any duration', 100: '100 ms and more', 1000: '1 s and more', 10000: '10 s and more' })}
      {select('running', 'Running', { '': 'ended or not', yes: 'running' })}
      {select('sort', 'Order', { '': 'newest', DURATION: 'slowest' })}
    </div>
  );
}
