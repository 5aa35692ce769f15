/** Two runs beside each other: their spans aligned, what each took more or less, and what their texts say differently. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { TraceChanges, Traces, type TraceListFilter, type TraceRow } from '../documents.ts';
import { differs, matched, type Match } from '../compare.ts';
import { flatten, type Spans } from '../spans.ts';
import { readAll } from '../reading.ts';
import { ask, follow } from '../server.ts';
import { go, put, to } from '../route.ts';
import { List, useVirtual } from '../parts/list.tsx';
import { useCalm, useLive, useLoad } from '../parts/load.ts';
import { useRows } from '../parts/rows.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Time, Trouble, count, dollars, span } from '../parts/show.tsx';
import { TraceLine } from '../parts/traceline.tsx';
import { Delta, SpanPair } from './spanpair.tsx';

const ROW = 30;
const TRACE = /^[0-9a-f]{32}$/;

interface Props {
  traceId: string;
  other: string | undefined;
  query: URLSearchParams;
}

export const Compare = ({ traceId, other, query }: Props) => (other ? <Both key={other} traceId={traceId} other={other} query={query} /> : <Choose traceId={traceId} />);

/** Which run to compare with: those that began as this one did, or what has some words, or an id. */
function Choose({ traceId }: { traceId: string }) {
  const first = useLoad(traceId, async (signal) => (await ask(Traces, { first: 1, filter: { span: { traceId } } }, signal)).traces.nodes[0]?.root?.name ?? '');
  const [typed, setTyped] = useState('');
  const text = useCalm(typed.trim());
  const filter: TraceListFilter = text ? { span: { text } } : first.data ? { span: { names: [first.data] } } : {};
  const list = useRows<TraceRow>(first.busy ? '' : `${first.data}\n${text}`, {
    page: async (after, signal) => [(await ask(Traces, { first: first.busy ? 1 : 60, after, filter }, signal)).traces],
  });
  const rows = list.rows.filter((row) => row.traceId !== traceId);
  const back = to(['traces', traceId]);
  useKeys([{ key: 'Escape', does: 'Back to the trace', run: () => go(back) }]);
  const type = (value: string) => {
    setTyped(value);
    const id = value.trim().toLowerCase();
    if (TRACE.test(id) && id !== traceId) go(to(['traces', traceId, 'compare', id]));
  };
  return (
    <section class="pane" aria-label="Choose a run">
      <header class="head">
        <p class="line"><a href={back}>‹ To the trace</a></p>
        <h1 tabIndex={-1}>Compare <bdi>{first.data || traceId}</bdi> with…</h1>
        <div class="bar">
          <input type="search" class="wide" aria-label="Words in the other run, or its trace id" placeholder="Words in the other run, or its trace id" value={typed} onInput={(event) => type(event.currentTarget.value)} />
          <span class="soft" role="status">{list.busy || first.busy ? 'Loading…' : `${rows.length}${list.hasMore ? '+' : ''} other ${rows.length === 1 ? 'run' : 'runs'}${text || !first.data ? '' : ' with a span of this name'}`}</span>
        </div>
      </header>
      {(first.error ?? list.error) && <Trouble error={(first.error ?? list.error)!} again={list.again} />}
      {!list.busy && !first.busy && !list.error && !rows.length && <Empty title="No other run is like that"><p>Type words of one, or paste its trace id.</p></Empty>}
      {rows.length > 0 && <List rows={rows} label="Runs" height={64} id={(row) => row.traceId} hasMore={list.hasMore} onMore={list.more} address={(row) => to(['traces', traceId, 'compare', row.traceId])} draw={(row) => <TraceLine row={row} />} />}
    </section>
  );
}

function Both({ traceId, other, query }: Props & { other: string }) {
  const { data: read, error, again } = useLoad(`${traceId} ${other}`, async (signal) => {
    const began = performance.now();
    const { traceChangeCursor } = await ask(Traces, { first: 1 }, signal);
    const lines = await Promise.all([readAll(traceId, signal), readAll(other, signal)]);
    return { runs: lines.map(flatten) as [Spans, Spans], cursor: traceChangeCursor, took: performance.now() - began };
  });
  const data = read?.runs;
  // What goes on is read anew, at most once a second and not before an earlier reading can have ended.
  const due = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const took = useRef(0);
  took.current = read?.took ?? 0;
  useEffect(() => () => clearTimeout(due.current), []);
  useLive(read && `${traceId} ${other}`, (signal) => {
    const filter: TraceListFilter = { or: [{ span: { traceId } }, { span: { traceId: other } }] };
    const changed = () => {
      due.current ??= setTimeout(() => ((due.current = undefined), again()), Math.max(1000, 2 * took.current));
    };
    return follow(TraceChanges, { filter, after: read!.cursor }, (told) => told.traceChanges, changed, signal);
  }, (problem) => problem.code === 'CURSOR_EXPIRED' && again());
  const back = to(['traces', traceId]);
  const missing = data?.findIndex(({ lines }) => !lines.length) ?? -1;
  useKeys([{ key: 'Escape', does: query.get('span') ? 'Close the spans' : 'Back to the trace', run: () => (query.get('span') ? put({ span: null }) : go(back)) }]);
  if (error) return <section class="pane"><Trouble error={error} again={again} /></section>;
  if (!data) return <section class="pane"><p class="soft wait">Reading both runs…</p></section>;
  if (missing >= 0) return <section class="pane"><Empty title="There is no such trace"><p><code>{missing ? other : traceId}</code> has no spans: they may not have come yet, or were deleted. <a href={to(['traces', missing ? traceId : other])}>To the other run</a></p></Empty></section>;
  return <Runs one={data[0]} other={data[1]} ids={[traceId, other]} query={query} again={again} />;
}

interface RunsProps {
  one: Spans;
  other: Spans;
  ids: readonly [string, string];
  query: URLSearchParams;
  again: () => void;
}

function Runs({ one, other, ids, query, again }: RunsProps) {
  const all = useMemo(() => matched(one, other), [one, other]);
  const unlike = useMemo(() => all.map((match) => differs(one, other, match)), [all]);
  const only = query.get('only') === 'differences';
  const rows = useMemo(() => (only ? withParents(all, unlike) : [...all.keys()]), [all, unlike, only]);
  const whole = Math.max(one.whole, other.whole);
  const selected = query.get('span');
  const idOf = ({ one: slot, other: second }: Match) => (slot >= 0 ? one.lines[slot]! : other.lines[second]!).id;
  const at = useMemo(() => (selected === null ? -1 : rows.findIndex((index) => isOf(one, other, all[index]!, selected))), [rows, selected]);
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtual(scroller, rows.length, ROW);
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' });
  }, [at]);
  const show = (row: number) => rows.length && put({ span: idOf(all[rows[Math.max(0, Math.min(row, rows.length - 1))]!]!) });
  const step = (by: number) => {
    const places = [...rows.keys()].filter((row) => unlike[rows[row]!]);
    const next = by > 0 ? places.find((row) => row > at) : places.findLast((row) => row < at);
    if (next !== undefined) show(next);
  };
  useKeys([
    { key: 'j', does: 'Next span', run: () => show(at + 1) },
    { key: 'k', does: 'Previous span', run: () => show(at - 1) },
    { key: 'ArrowDown', does: 'Next span', run: () => show(at + 1) },
    { key: 'ArrowUp', does: 'Previous span', run: () => show(at - 1) },
    { key: 'n', does: 'Next difference', run: () => step(1) },
    { key: 'N', does: 'Previous difference', run: () => step(-1) },
    { key: 'x', does: 'Swap the runs', run: () => swap() },
  ]);
  const swap = () => go(to(['traces', ids[1], 'compare', ids[0]], Object.fromEntries(query)));
  const unequal = unlike.filter(Boolean).length;
  const chosen = at >= 0 ? all[rows[at]!] : undefined;
  return (
    <div class="split compare open">
      <section class="pane" aria-label="Two runs">
        <header class="head">
          <p class="line"><a href={to(['traces', ids[0]])}>‹ To the trace</a></p>
          <h1 tabIndex={-1}>Two runs</h1>
          <Totals one={one} other={other} ids={ids} />
          <div class="bar">
            <button type="button" aria-pressed={only} onClick={() => put({ only: only ? null : 'differences' })}>Differences only</button>
            <button type="button" onClick={swap} title="What comes second is measured against the first">Swap</button>
            <a class="button" href={to(['traces', ids[0], 'compare'])}>Another run…</a>
            {one.running + other.running > 0 && <button type="button" onClick={again} title="Something is still running">Read again</button>}
            <span class="soft" role="status">{unequal ? `${unequal.toLocaleString()} of ${all.length.toLocaleString()} spans differ` : 'No span differs'}</span>
          </div>
          <div class="pair-row titles soft" aria-hidden="true"><span>span</span><span class="numbers">first</span><span class="numbers">second</span><span class="numbers">time</span><span class="numbers">tokens</span><span class="numbers">cost</span><span>when</span></div>
        </header>
        <div class="rows" ref={scroller} tabIndex={0} aria-label="Spans of both">
          {!rows.length && <Empty title="No span differs"><p>Each took the same within a tenth, and ended alike. Their texts may still differ: open one.</p></Empty>}
          <div class="all" role="tree" aria-label="Spans of both" style={{ height: `${virtual.getTotalSize()}px` }}>
            {virtual.getVirtualItems().map(({ index, start }) => {
              const match = all[rows[index]!]!;
              return <PairRow key={rows[index]} one={one} other={other} match={match} top={start} whole={whole} unlike={unlike[rows[index]!]!} selected={index === at} place={index + 1} places={rows.length} open={() => put({ span: idOf(match) })} />;
            })}
          </div>
        </div>
      </section>
      {chosen && <SpanPair key={selected} one={one.lines[chosen.one]?.id} other={other.lines[chosen.other]?.id} />}
    </div>
  );
}

const isOf = (one: Spans, other: Spans, match: Match, id: string) => one.lines[match.one]?.id === id || other.lines[match.other]?.id === id;

/** The places of what differs, and of all that it stands below. */
function withParents(all: readonly Match[], unlike: readonly boolean[]): number[] {
  const rows: number[] = [];
  let depth = -1; // up to which the row after this one is wanted
  for (let index = all.length - 1; index >= 0; index--) {
    const match = all[index]!;
    if (!unlike[index] && match.depth !== depth - 1) continue;
    rows.push(index);
    depth = match.depth;
  }
  return rows.reverse();
}

interface Figures {
  spans: number;
  ms: number;
  tokens: number;
  cost: number;
  failed: number;
}

function figures(spans: Spans): Figures {
  const found = { spans: spans.lines.length, ms: spans.whole, tokens: 0, cost: 0, failed: 0 };
  for (const slot of spans.order) {
    if (spans.up[slot]! !== -1) continue;
    found.tokens += spans.tokens[slot]!;
    found.cost += spans.cost[slot]!;
    found.failed += spans.errors[slot]!;
  }
  return found;
}

const SHOWN: readonly (readonly [keyof Figures, string, (value: number) => string])[] = [
  ['ms', 'time', span],
  ['tokens', 'tokens', count],
  ['cost', 'cost', dollars],
  ['spans', 'spans', count],
  ['failed', 'failed', count],
];

function Totals({ one, other, ids }: Pick<RunsProps, 'one' | 'other' | 'ids'>) {
  const [left, right] = [figures(one), figures(other)];
  const shown = SHOWN.filter(([name]) => left[name] || right[name]);
  const title = (spans: Spans, id: string, text: string) => (
    <th scope="row">
      <span class="soft">{text}</span> <a href={to(['traces', id])}><bdi>{spans.lines[spans.order[0]!]!.name}</bdi></a> <Time at={new Date(spans.origin).toISOString()} />
      {spans.running > 0 && <span class="soft"> <span class="dot live" /> {spans.running} running</span>}
    </th>
  );
  return (
    <div class="scroll" tabIndex={0}>
      <table class="totals">
        <thead><tr><td />{shown.map(([name, text]) => <th key={name} scope="col">{text}</th>)}</tr></thead>
        <tbody>
          <tr>{title(one, ids[0], 'first')}{shown.map(([name, , form]) => <td key={name}>{form(left[name])}</td>)}</tr>
          <tr>{title(other, ids[1], 'second')}{shown.map(([name, , form]) => <td key={name}>{form(right[name])}</td>)}</tr>
          <tr><th scope="row" class="soft">difference</th>{shown.map(([name, , form]) => <td key={name}><Delta from={left[name]} to={right[name]} form={form} percent neutral={name === 'spans'} /></td>)}</tr>
        </tbody>
      </table>
    </div>
  );
}

interface PairProps {
  one: Spans;
  other: Spans;
  match: Match;
  top: number;
  whole: number;
  unlike: boolean;
  selected: boolean;
  place: number;
  places: number;
  open: () => void;
}

function PairRow({ one, other, match, top, whole, unlike, selected, place, places, open }: PairProps) {
  const [left, right] = [one.lines[match.one], other.lines[match.other]];
  const shown = (left ?? right)!;
  const took = (line: typeof left) => (line ? (line.durationMs == null ? '…' : span(line.durationMs)) : '');
  const sum = (of: 'tokens' | 'cost') => [one[of][match.one] ?? 0, other[of][match.other] ?? 0] as const;
  const alone = !left ? 'only in the second' : !right ? 'only in the first' : '';
  return (
    <div class={`pair-row${selected ? ' selected' : ''}${alone ? ' alone' : ''}${unlike ? ' unlike' : ''}`} role="treeitem" aria-level={match.depth + 1} aria-posinset={place} aria-setsize={places} aria-selected={selected}
      style={{ transform: `translateY(${top}px)` }} onClick={open}>
      <span class="name" style={{ paddingInlineStart: `${Math.min(match.depth, 24) * 14}px` }}>
        <span class={`dot kind ${shown.kind}`} title={shown.kind} />
        <bdi class="cut">{shown.name}</bdi>
        {left && right && left.name !== right.name && <><span class="soft">→</span> <bdi class="cut">{right.name}</bdi></>}
        {alone && <span class="badge">{alone}</span>}
        {left && right && left.statusCode !== right.statusCode ? <><Badge of={left.statusCode} />→<Badge of={right.statusCode} /></> : shown.statusCode === 'ERROR' && <Badge of="ERROR" />}
      </span>
      <span class="soft figure numbers">{took(left)}</span>
      <span class="soft figure numbers">{took(right)}</span>
      <span class="figure numbers">{left?.durationMs != null && right?.durationMs != null && <Delta from={left.durationMs} to={right.durationMs} form={span} />}</span>
      <span class="figure numbers">{!alone && <Delta from={sum('tokens')[0]} to={sum('tokens')[1]} form={count} />}</span>
      <span class="figure numbers">{!alone && <Delta from={sum('cost')[0]} to={sum('cost')[1]} form={dollars} />}</span>
      <span class="lane two-lanes">
        {[[one, match.one] as const, [other, match.other] as const].map(([spans, slot], index) => {
          if (slot < 0) return null;
          const [from, until] = [spans.start[slot]!, Number.isNaN(spans.end[slot]!) ? spans.whole : spans.end[slot]!];
          return <span key={index} class={`beam ${index ? 'second' : 'first'} ${spans.lines[slot]!.statusCode === 'ERROR' ? 'ERROR' : shown.kind}`} style={{ transform: `translateX(${(from / whole) * 100}%) scaleX(${Math.max(0.002, (until - from) / whole)})` }} />;
        })}
      </span>
    </div>
  );
}
