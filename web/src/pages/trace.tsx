/** A trace as a tree and a waterfall in one: rows that fold, bars over time, what failed, and what it waited for. */
import type { VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { SessionEvents, SpansWith, TraceSession, type SpanLine } from '../documents.ts';
import { readAll } from '../reading.ts';
import { critical, flatten, visible, type Spans } from '../spans.ts';
import { ask, follow, type Problem } from '../server.ts';
import { go, put, to } from '../route.ts';
import { useVirtual } from '../parts/list.tsx';
import { asProblem, useCalm, useClock, useLive, useLoad } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Copy, Empty, Trouble, count, dollars, span } from '../parts/show.tsx';
import { SpanPanel } from './span.tsx';

const ROW = 26;

export function TraceView({ traceId, query }: { traceId: string; query: URLSearchParams }) {
  const [lines, setLines] = useState<readonly SpanLine[]>();
  const [whole, setWhole] = useState(false);
  const [error, setError] = useState<Problem>();
  const [paused, setPaused] = useState(false);
  const late = useRef(new Map<string, SpanLine>());
  const [waiting, setWaiting] = useState(0);
  const failed = (problem: unknown) => setError(asProblem(problem));
  useEffect(() => {
    const stop = new AbortController();
    readAll(traceId, stop.signal, (first) => setLines([...first]))
      .then((all) => {
        setLines(all);
        setWhole(true);
      })
      .catch((problem: unknown) => stop.signal.aborted || failed(problem));
    return () => stop.abort();
  }, [traceId]);

  const apply = () => {
    const fresh = late.current;
    late.current = new Map();
    setWaiting(0);
    setLines((now = []) => {
      const known = new Set(now.map(({ id }) => id));
      return [...now.map((line) => fresh.get(line.id) ?? line), ...[...fresh.values()].filter(({ id }) => !known.has(id))];
    });
  };
  const isPaused = useRef(paused);
  isPaused.current = paused;
  const arrived = (line: SpanLine) => {
    if (!late.current.size && !isPaused.current) requestAnimationFrame(apply);
    late.current.set(line.id, line);
    if (isPaused.current) setWaiting(late.current.size);
  };
  const pause = () => {
    if (paused) requestAnimationFrame(apply);
    setPaused(!paused);
  };
  const session = useLoad(traceId, async (signal) => (await ask(TraceSession, { traceId }, signal)).spans.nodes[0]?.session ?? null).data;
  useLive(whole && session ? session.id : undefined, (signal) =>
    follow(
      SessionEvents,
      { id: session!.id, after: session!.traceCursor },
      ({ sessionTrace }) => sessionTrace,
      ({ node }) => node.span?.traceId === traceId && arrived(node.span),
      signal,
    ), failed);

  const back = to(['traces'], Object.fromEntries([...query].filter(([name]) => !['span', 'find'].includes(name))));
  useKeys([
    { key: 'Escape', does: query.get('span') ? 'Close the span' : 'Back to the list', run: () => (query.get('span') ? put({ span: null }) : go(back)) },
    { key: 'l', does: paused ? 'Live again' : 'Pause the trace', run: pause },
  ]);
  if (error) return <section class="pane detail"><Trouble error={error} /></section>;
  if (whole && !lines?.length) return <section class="pane detail"><Empty title="There is no such trace"><p>Its spans may not have come yet, or were deleted. <a href={back}>To the traces</a></p></Empty></section>;
  if (!lines) return <section class="pane detail"><p class="soft wait">Loading…</p></section>;
  return (
    <>
      <Waterfall lines={lines} whole={whole} traceId={traceId} query={query} back={back} session={session ?? null} paused={paused} waiting={waiting} pause={pause} />
      {query.get('span') && <SpanPanel key={query.get('span')} id={query.get('span')!} />}
    </>
  );
}

interface Props {
  lines: readonly SpanLine[];
  whole: boolean;
  traceId: string;
  query: URLSearchParams;
  back: string;
  session: { id: string; title: string } | null;
  paused: boolean;
  waiting: number;
  pause: () => void;
}

function Waterfall({ lines, whole, traceId, query, back, session, paused, waiting, pause }: Props) {
  const spans = useMemo(() => flatten(lines), [lines]);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [marks, setMarks] = useState(false);
  const [until, setUntil] = useState<number>();
  const [found, setFound] = useState(-1);
  const selected = query.get('span');
  const sought = useCalm(query.get('find')?.toLowerCase() ?? '', 120);
  const rows = useMemo(() => visible(spans, closed), [spans, closed]);
  const texts = useLoad(sought, async (signal) => (sought.length > 2 ? (await ask(SpansWith, { traceId, text: sought }, signal)).spans : undefined)).data;
  const inside = useMemo(() => new Set(texts?.nodes.map(({ id }) => id)), [texts]);
  const isHit = (line: SpanLine) => sought !== '' && (matches(line, sought) || inside.has(line.id));
  const hits = useMemo(() => [...rows.keys()].filter((row) => isHit(spans.lines[rows[row]!]!)), [rows, sought, inside]);
  const path = useMemo(() => (marks ? critical(spans) : undefined), [marks, spans]);
  const now = useClock(spans.running > 0 && !paused);
  const end = spans.running && !paused ? Math.max(spans.whole, now - spans.origin) : spans.whole;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtual(scroller, rows.length, ROW);
  const at = useMemo(() => (selected === null ? -1 : rows.indexOf(spans.at.get(selected) ?? -1)), [rows, selected]);
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' });
  }, [selected, whole]);

  const show = (row: number) => {
    const slot = rows[Math.max(0, Math.min(row, rows.length - 1))];
    if (slot !== undefined) put({ span: spans.lines[slot]!.id });
  };
  const toggle = (slot: number, close?: boolean) => {
    const { id } = spans.lines[slot]!;
    const next = new Set(closed);
    (close ?? !closed.has(id)) ? next.add(id) : next.delete(id);
    setClosed(next);
  };
  const foldAll = () => setClosed(closed.size ? new Set() : new Set([...spans.order].filter((slot) => spans.subtree[slot]! > 1 && spans.depth[slot]! > 0).map((slot) => spans.lines[slot]!.id)));
  const step = (to: number[], by: number) => {
    if (!to.length) return;
    const next = by > 0 ? to.find((row) => row > at) : to.findLast((row) => row < at);
    const row = next ?? (by > 0 ? to[0]! : to.at(-1)!);
    setFound(to.indexOf(row));
    show(row);
  };
  const failures = () => [...rows.keys()].filter((row) => spans.lines[rows[row]!]!.statusCode === 'ERROR');
  const slotAt = rows[at] ?? -1;
  useKeys([
    { key: 'j', does: 'Next span', run: () => show(at + 1) },
    { key: 'k', does: 'Previous span', run: () => show(at - 1) },
    { key: 'ArrowDown', does: 'Next span', run: () => show(at + 1) },
    { key: 'ArrowUp', does: 'Previous span', run: () => show(at - 1) },
    { key: 'ArrowLeft', does: 'Fold', run: () => slotAt >= 0 && (spans.subtree[slotAt]! > 1 && !closed.has(spans.lines[slotAt]!.id) ? toggle(slotAt, true) : spans.up[slotAt]! >= 0 && show(rows.indexOf(spans.up[slotAt]!))) },
    { key: 'ArrowRight', does: 'Unfold', run: () => slotAt >= 0 && toggle(slotAt, false) },
    { key: 'f', does: 'Fold or unfold all', run: foldAll },
    { key: 'e', does: 'Next error', run: () => step(failures(), 1) },
    { key: 'n', does: 'Next hit', run: () => step(hits, 1) },
    { key: 'N', does: 'Previous hit', run: () => step(hits, -1) },
    { key: 'c', does: 'Critical path', run: () => setMarks(!marks) },
    { key: 'd', does: 'Compare with another run', run: () => go(to(['traces', traceId, 'compare'])) },
  ]);
  const root = spans.order[0];
  const total = useMemo(() => sums(spans), [spans]);
  const { errors, tokens, cost } = total;
  // A row that is as it was is not looked at again while others scroll in, and one that scrolls in takes the place of one that left.
  const kept = useRef<Drawn[]>([]);
  const items = virtual.getVirtualItems();
  const places = Math.ceil(items.length / 16) * 16;
  const drawn = items.map(({ index, start }): Drawn => {
    const slot = rows[index]!;
    const props: LineProps = { spans, slot, row: index, count: rows.length, top: start, end, total, until, closed, toggle, selected: index === at, hit: isHit(spans.lines[slot]!), path };
    const same = [index, places, spans, slot, rows.length, end, until, closed, props.selected, props.hit, path];
    const before = kept.current.find(({ same: [row] }) => row === index);
    return before && same.every((value, nth) => value === before.same[nth]) ? before : { same, node: <Line key={index % places} {...props} /> };
  });
  kept.current = drawn;
  return (
    <section class="pane detail trace" aria-label="Trace" aria-busy={!whole}>
      <header class="head">
        <a class="back" href={back}>‹ Traces</a>
        <h1 tabIndex={-1}><bdi>{root === undefined ? traceId : spans.lines[root]!.name}</bdi></h1>
        <p class="line">
          <span class="figure">{lines.length.toLocaleString()} spans</span>
          <span class="figure soft">{span(end)}</span>
          {tokens > 0 && <span class="figure soft">{count(tokens)} tokens</span>}
          {cost > 0 && <span class="figure soft">{dollars(cost)}</span>}
          {errors > 0 && <button type="button" class="quiet bad" onClick={() => step(failures(), 1)}>{errors.toLocaleString()} failed</button>}
          {spans.running > 0 && <span class="soft"><span class="dot live" /> {spans.running} running</span>}
          {session && <a href={to(['sessions', session.id])}><bdi>{session.title || 'session'}</bdi></a>}
          <span class="soft">trace</span> <Copy text={traceId} what="trace id" />
          {!whole && <span class="soft" role="status">reading…</span>}
        </p>
        <div class="bar">
          <input type="search" placeholder="Find in this trace" aria-label="Find in this trace" value={query.get('find') ?? ''} onInput={(event) => put({ find: event.currentTarget.value })}
            onKeyDown={(event) => event.key === 'Enter' && step(hits, event.shiftKey ? -1 : 1)} />
          {sought && <span class="soft figure" role="status">{found >= 0 && hits.length ? `${Math.min(found + 1, hits.length)} of ` : ''}{hits.length.toLocaleString()}{texts?.pageInfo.hasNextPage ? '+' : ''} found</span>}
          <button type="button" onClick={foldAll}>{closed.size ? 'Unfold all' : 'Fold all'}</button>
          <button type="button" aria-pressed={marks} onClick={() => setMarks(!marks)} title="The spans by which it took as long as it did">Critical path</button>
          <button type="button" aria-pressed={paused} onClick={pause}>{paused ? `Live again${waiting ? `, ${waiting} new` : ''}` : 'Pause'}</button>
          <a class="button" href={to(['traces', traceId, 'compare'])}>Compare…</a>
          <Playback whole={end} until={until} set={setUntil} />
        </div>
      </header>
      <div class="rows" ref={scroller} tabIndex={0} aria-label="Spans">
        <div class="all" role="tree" aria-label="Spans" style={{ height: `${virtual.getTotalSize()}px` }}>
          {drawn.map(({ node }) => node)}
        </div>
      </div>
    </section>
  );
}

/** Of the whole trace: what its roots stand for. */
function sums(spans: Spans): { errors: number; tokens: number; cost: number } {
  const found = { errors: 0, tokens: 0, cost: 0 };
  for (const slot of spans.order) {
    if (spans.up[slot]! !== -1) continue;
    found.errors += spans.errors[slot]!;
    found.tokens += spans.tokens[slot]!;
    found.cost += spans.cost[slot]!;
  }
  return found;
}

const matches = ({ name, kind, spanId, statusCode }: SpanLine, sought: string): boolean =>
  name.toLowerCase().includes(sought) || spanId === sought || kind.toLowerCase() === sought || statusCode.toLowerCase() === sought;

interface Drawn {
  same: unknown[];
  node: VNode;
}

interface LineProps {
  spans: Spans;
  slot: number;
  row: number;
  count: number;
  top: number;
  end: number;
  /** Of the whole trace, which the bars are parts of. */
  total: { tokens: number; cost: number };
  until: number | undefined;
  closed: ReadonlySet<string>;
  toggle: (slot: number) => void;
  selected: boolean;
  hit: boolean;
  path: Set<number> | undefined;
}

function Line({ spans, slot, row, count: setSize, top, end, total, until, closed, toggle, selected, hit, path }: LineProps) {
  const { id, name, kind, statusCode, durationMs } = spans.lines[slot]!;
  const folds = spans.subtree[slot]! > 1;
  const isClosed = closed.has(id);
  const from = spans.start[slot]!;
  const to = Math.min(Number.isNaN(spans.end[slot]!) ? end : spans.end[slot]!, until ?? Infinity);
  const failed = statusCode === 'ERROR';
  const below = spans.errors[slot]! - (failed ? 1 : 0);
  const isAhead = until !== undefined && from > until;
  const classes = `line-row${selected ? ' selected' : ''}${hit ? ' hit' : ''}${path?.has(slot) ? ' critical' : ''}${isAhead ? ' ahead' : ''}`;
  return (
    <div class={classes} role="treeitem" aria-level={spans.depth[slot]! + 1} aria-posinset={row + 1} aria-setsize={setSize} aria-selected={selected}
      {...(folds ? { 'aria-expanded': !isClosed } : {})} style={{ transform: `translateY(${top}px)` }} onClick={() => put({ span: id })}>
      <span class="name" style={{ paddingInlineStart: `${Math.min(spans.depth[slot]!, 24) * 14}px` }}>
        <span class="fold" aria-hidden="true" onClick={(event) => (event.stopPropagation(), folds && toggle(slot))}>{folds ? (isClosed ? '▸' : '▾') : ''}</span>
        <span class={`dot kind ${kind}`} title={kind} />
        <bdi class={failed ? 'cut bad' : 'cut'}>{name}</bdi>
        {failed && <Badge of="ERROR" />}
        {isClosed && <span class="soft">{spans.subtree[slot]! - 1} more</span>}
        {isClosed && below > 0 && <span class="bad">{below} failed</span>}
      </span>
      <span class="soft figure numbers" style={bar(spans.tokens[slot]!, total.tokens)}>{spans.tokens[slot]! > 0 ? count(spans.tokens[slot]!) : ''}</span>
      <span class="soft figure numbers" style={bar(spans.cost[slot]!, total.cost)}>{spans.cost[slot]! > 0 ? dollars(spans.cost[slot]!) : ''}</span>
      <span class="soft figure numbers" style={bar(durationMs ?? 0, end)}>{durationMs == null ? '…' : span(durationMs)}</span>
      <span class="lane">
        {!isAhead && <span class={`beam ${failed ? 'ERROR' : kind}${durationMs == null ? ' running' : ''}`} style={{ transform: `translateX(${(from / end) * 100}%) scaleX(${Math.max(0.002, (to - from) / end)})` }} />}
      </span>
    </div>
  );
}

/** A line under a figure, as long as its part of the whole. */
const bar = (part: number, whole: number) => ({ backgroundSize: `${whole > 0 ? Math.round((100 * part) / whole) : 0}% 2px` });

const SPEEDS = [1, 2, 10, 100];

/** The trace as it was at a time: by a slider, or played. */
function Playback({ whole, until, set }: { whole: number; until: number | undefined; set: (until: number | undefined) => void }) {
  const [speed, setSpeed] = useState(0);
  useEffect(() => {
    if (!speed) return;
    let last = performance.now();
    let now = until === undefined || until >= whole ? 0 : until;
    let frame = requestAnimationFrame(function draw(time) {
      now += (time - last) * speed;
      last = time;
      if (now >= whole) {
        setSpeed(0);
        set(undefined);
        return;
      }
      set(now);
      frame = requestAnimationFrame(draw);
    });
    return () => cancelAnimationFrame(frame);
  }, [speed]);
  return (
    <span class="playback">
      <button type="button" onClick={() => setSpeed(speed ? 0 : SPEEDS.find((one) => whole / one < 12_000) ?? 100)} aria-label={speed ? 'Stop playback' : 'Play'}>{speed ? '❚❚' : '▶'}</button>
      <input type="range" aria-label="Time in the trace" min={0} max={whole} step="any" value={until ?? whole} onInput={(event) => set(Number(event.currentTarget.value) >= whole ? undefined : Number(event.currentTarget.value))} />
      <span class="soft figure">{until === undefined ? 'all' : span(until)}</span>
    </span>
  );
}
