/** Two runs laid beside each other: which span of the one does what which of the other does. */
import { align } from './align.ts';
import type { Spans } from './spans.ts';

/** Slots of the two; -1 where a run has no such span. */
export interface Match {
  one: number;
  other: number;
  depth: number;
}

/** Depth first. Children of spans that match are matched in their order: by kind and name, and what is then left between by kind. */
export function matched(a: Spans, b: Spans): Match[] {
  const [ones, others] = [below(a), below(b)];
  const found: Match[] = [];
  const stack: Match[] = [{ one: -1, other: -1, depth: -1 }];
  while (stack.length) {
    const match = stack.pop()!;
    const { one, other, depth } = match;
    if (depth >= 0) found.push(match);
    const isTop = depth < 0;
    const left = isTop || one >= 0 ? (ones.get(one) ?? []) : [];
    const right = isTop || other >= 0 ? (others.get(other) ?? []) : [];
    const pairs = isTop && left.length === 1 && right.length === 1 ? [[left[0]!, right[0]!] as const] : paired(a, b, left, right);
    for (let index = pairs.length - 1; index >= 0; index--) stack.push({ one: pairs[index]![0], other: pairs[index]![1], depth: depth + 1 });
  }
  return found;
}

/** Children by their parent's slot, in order; those without one by -1. */
function below({ order, up }: Spans): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const slot of order) {
    const beside = found.get(up[slot]!);
    beside ? beside.push(slot) : found.set(up[slot]!, [slot]);
  }
  return found;
}

function paired(a: Spans, b: Spans, left: readonly number[], right: readonly number[]): (readonly [number, number])[] {
  const name = ({ lines }: Spans) => (slot: number) => `${lines[slot]!.kind} ${lines[slot]!.name}`;
  const pairs: (readonly [number, number])[] = [];
  let gone: number[] = [];
  let fresh: number[] = [];
  const flush = () => {
    const byKind = new Map<string, number[]>();
    for (const slot of [...fresh].reverse()) {
      const { kind } = b.lines[slot]!;
      byKind.get(kind)?.push(slot) ?? byKind.set(kind, [slot]);
    }
    const taken = new Set<number>();
    for (const slot of gone) {
      const other = byKind.get(a.lines[slot]!.kind)?.pop() ?? -1;
      taken.add(other);
      pairs.push([slot, other]);
    }
    for (const slot of fresh) if (!taken.has(slot)) pairs.push([-1, slot]);
    [gone, fresh] = [[], []];
  };
  for (const [one, other] of align(left.map(name(a)), right.map(name(b)))) {
    if (other < 0) gone.push(left[one]!);
    else if (one < 0) fresh.push(right[other]!);
    else {
      flush();
      pairs.push([left[one]!, right[other]!]);
    }
  }
  flush();
  return pairs;
}

const NOTABLE_MS = 1;
const NOTABLE = 0.1; // of the longer one

/** Whether the two did not do the same: one is missing, failed, or took a tenth more time, tokens or money. */
export function differs(a: Spans, b: Spans, { one, other }: Match): boolean {
  if (one < 0 || other < 0) return true;
  const [left, right] = [a.lines[one]!, b.lines[other]!];
  if (left.statusCode !== right.statusCode || left.name !== right.name || left.kind !== right.kind) return true;
  const far = (x: number, y: number, least: number) => Math.abs(x - y) > Math.max(least, NOTABLE * Math.max(x, y));
  return far(left.durationMs ?? 0, right.durationMs ?? 0, NOTABLE_MS) || far(a.tokens[one]!, b.tokens[other]!, 0) || far(a.cost[one]!, b.cost[other]!, 0);
}
