/** A trace as flat arrays, one slot a span, so that thirty thousand are no burden. */
import type { SpanLine } from './documents.ts';

export interface Spans {
  lines: readonly SpanLine[];
  /** By row: depth first, children by their start. */
  order: Uint32Array;
  depth: Uint16Array;
  /** The parent's slot, or -1. */
  up: Int32Array;
  /** How many rows a slot stands for, itself included. */
  subtree: Uint32Array;
  /** ms since the trace began; the end is NaN while it runs. */
  start: Float64Array;
  end: Float64Array;
  /** Summed upwards. A parent that tells as much as its children is not counted twice. */
  tokens: Float64Array;
  cost: Float64Array;
  /** Errors at or below a slot. */
  errors: Uint32Array;
  origin: number;
  /** The latest end that is known, in ms since the beginning. */
  whole: number;
  running: number;
  at: ReadonlyMap<string, number>;
}

export function flatten(lines: readonly SpanLine[]): Spans {
  const size = lines.length;
  const bySpan = new Map<string, number>();
  const at = new Map<string, number>();
  const start = new Float64Array(size);
  const end = new Float64Array(size);
  const tokens = new Float64Array(size);
  const cost = new Float64Array(size);
  const errors = new Uint32Array(size);
  let origin = Infinity;
  for (let slot = 0; slot < size; slot++) {
    const line = lines[slot]!;
    bySpan.set(line.spanId, slot);
    at.set(line.id, slot);
    start[slot] = Date.parse(line.startedAt);
    end[slot] = line.durationMs == null ? NaN : start[slot]! + line.durationMs;
    origin = Math.min(origin, start[slot]!);
    tokens[slot] = line.usage?.totalTokens ?? 0;
    cost[slot] = line.usage?.costUsd ?? 0;
    errors[slot] = line.statusCode === 'ERROR' ? 1 : 0;
  }
  let whole = 1;
  let running = 0;
  for (let slot = 0; slot < size; slot++) {
    start[slot]! -= origin;
    end[slot]! -= origin;
    if (Number.isNaN(end[slot]!)) running++;
    whole = Math.max(whole, start[slot]!, end[slot]! || 0);
  }
  // Children as linked lists, filled from the back, so that they come in the order of their start.
  const first = new Int32Array(size).fill(-1);
  const next = new Int32Array(size).fill(-1);
  const up = new Int32Array(size).fill(-1);
  const roots: number[] = [];
  const sorted = Uint32Array.from({ length: size }, (_, slot) => slot).sort((a, b) => start[a]! - start[b]! || a - b);
  for (let index = size - 1; index >= 0; index--) {
    const slot = sorted[index]!;
    const parent = lines[slot]!.parentSpanId;
    const above = parent == null ? undefined : bySpan.get(parent);
    if (above === undefined || above === slot) roots.push(slot);
    else {
      up[slot] = above;
      next[slot] = first[above]!;
      first[above] = slot;
    }
  }
  const order = new Uint32Array(size);
  const depth = new Uint16Array(size);
  const subtree = new Uint32Array(size).fill(1);
  const seen = new Uint8Array(size);
  let row = 0;
  const walk = (stack: number[]) => {
    const children: number[] = [];
    while (stack.length) {
      const slot = stack.pop()!;
      if (seen[slot]) continue;
      seen[slot] = 1;
      order[row++] = slot;
      children.length = 0;
      for (let child = first[slot]!; child !== -1; child = next[child]!) {
        depth[child] = depth[slot]! + 1;
        children.push(child);
      }
      for (let index = children.length - 1; index >= 0; index--) stack.push(children[index]!);
    }
  };
  walk(roots); // the earliest is on top
  for (const slot of sorted) {
    if (seen[slot]) continue; // parents in a circle: it is cut open at the earliest
    up[slot] = -1;
    depth[slot] = 0;
    walk([slot]);
  }
  const below = { tokens: new Float64Array(size), cost: new Float64Array(size) };
  for (let index = row - 1; index >= 0; index--) {
    const slot = order[index]!;
    tokens[slot] = Math.max(tokens[slot]!, below.tokens[slot]!);
    cost[slot] = Math.max(cost[slot]!, below.cost[slot]!);
    const parent = up[slot]!;
    if (parent === -1) continue;
    subtree[parent]! += subtree[slot]!;
    errors[parent]! += errors[slot]!;
    below.tokens[parent]! += tokens[slot]!;
    below.cost[parent]! += cost[slot]!;
  }
  return { lines, order, depth, up, subtree, start, end, tokens, cost, errors, origin, whole, running, at };
}

/** The slots to show, in order, without what is below a closed one. */
export function visible(spans: Spans, closed: ReadonlySet<string>): Uint32Array {
  const rows = new Uint32Array(spans.lines.length);
  let length = 0;
  for (let row = 0; row < spans.lines.length; ) {
    const slot = spans.order[row]!;
    rows[length++] = slot;
    row += closed.has(spans.lines[slot]!.id) ? spans.subtree[slot]! : 1;
  }
  return rows.subarray(0, length);
}

/** The spans by which the trace took as long as it did: from each the child that ended last, and what that waited for. */
export function critical(spans: Spans): Set<number> {
  const children = new Map<number, number[]>();
  for (const slot of spans.order) {
    const parent = spans.up[slot]!;
    children.get(parent)?.push(slot) ?? children.set(parent, [slot]);
  }
  const ended = (slot: number) => (Number.isNaN(spans.end[slot]!) ? Infinity : spans.end[slot]!);
  const found = new Set<number>();
  const stack = [-1];
  while (stack.length) {
    const slot = stack.pop()!;
    let until = slot === -1 ? Infinity : ended(slot);
    const below = [...(children.get(slot) ?? [])].sort((a, b) => ended(b) - ended(a));
    for (const child of below) {
      if (ended(child) > until + 0.001) continue;
      found.add(child);
      stack.push(child);
      until = spans.start[child]!;
    }
  }
  return found;
}
