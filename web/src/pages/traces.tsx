import { useState } from 'preact/hooks';
import { Owners, Traces, type TraceListFilter, type TraceOrder, type TraceRow } from '../documents.ts';
import { ask } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useCalm, useClock, useLive, useLoad, useRows } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Time, Trouble, count, dollars, span } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { TraceView } from './trace.tsx';

const ROW = 64;
const PAGE = 60;
const EVERY_MS = 2500;
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
  const [open] = path;
  return (
    <div class={open ? 'split open traces' : 'split traces'}>
      <Sidebar query={query} open={open} />
      {open && <TraceView key={open} traceId={open} query={query} />}
    </div>
  );
}

function Sidebar({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const [paused, setPaused] = useState(false);
  const kept = new URLSearchParams([...query].filter(([name]) => FILTERS.includes(name)));
  const key = useCalm(kept.toString());
  const variables = (after: string | null) => ({ first: PAGE, after, filter: filterOf(kept), orderBy: orderOf(kept) });
  const list = useRows<TraceRow>(key, async (after, signal) => (await ask(Traces, variables(after), signal)).traces);
  useLive(paused ? undefined : key, async (signal) => {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (signal.aborted || document.hidden) continue;
      const found = await ask(Traces, variables(null), signal).catch(() => undefined);
      if (!found || signal.aborted) continue;
      const first = new Set(found.traces.nodes.map(({ id }) => id));
      list.change((rows) => [...found.traces.nodes, ...rows.filter(({ id }) => !first.has(id))]);
    }
  });
  useKeys([{ key: 'p', does: paused ? 'Live again' : 'Pause', run: () => setPaused(!paused) }]);
  const { rows } = list;
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

function Row({ row }: { row: TraceRow }) {
  const isRunning = row.runningSpans > 0;
  const now = useClock(isRunning);
  return (
    <>
      <span class="first"><bdi class="title">{row.root?.name ?? row.traceId}</bdi><Time at={row.startedAt} /></span>
      <span class="second">
        {row.root && <Badge of={row.root.kind} />}
        {row.statusCode === 'ERROR' && <Badge of="ERROR" />}
        {isRunning && <span class="dot live" title={`${row.runningSpans} running`} />}
        <span class="soft cut"><bdi>{row.session?.title ?? ''}</bdi></span>
        {row.usage?.totalTokens != null && <span class="soft figure">{count(row.usage.totalTokens)} tokens</span>}
        {row.usage?.costUsd != null && <span class="soft figure">{dollars(row.usage.costUsd)}</span>}
        <span class="soft figure">{row.durationMs == null && !isRunning ? '' : span(row.durationMs ?? Math.max(0, now - Date.parse(row.startedAt)))}</span>
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
      {select('dearer', 'Cost', { '': 'any cost', '0.001': '$0.001 and more', '0.01': '$0.01 and more', '0.1': '$0.10 and more', '1': '$1 and more' })}
      {select('running', 'Running', { '': 'ended or not', yes: 'running' })}
      <input type="text" placeholder="model" aria-label="Model" value={query.get('model') ?? ''} onChange={(event) => put({ model: event.currentTarget.value })} />
      {select('sort', 'Order', { '': 'newest', DURATION: 'slowest', COST: 'dearest', TOKENS: 'most tokens' })}
    </div>
  );
}
