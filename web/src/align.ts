/** Which entries of two lists belong together, both in their order. */

/** Places in the two lists; -1 where the other has none. */
export type Pair = readonly [one: number, other: number];

const CELLS = 4_000_000; // of the table of longest common subsequences; what is larger is cut at entries that both have once

export function align(a: readonly string[], b: readonly string[]): Pair[] {
  const pairs: Pair[] = [];
  const between = (from: number, until: number, start: number, end: number): void => {
    while (from < until && start < end && a[from] === b[start]) pairs.push([from++, start++]);
    let tail = 0;
    while (until - tail > from && end - tail > start && a[until - 1 - tail] === b[end - 1 - tail]) tail++;
    [until, end] = [until - tail, end - tail];
    const fits = (until - from) * (end - start) <= CELLS;
    if (fits) subsequence(a, b, [from, until, start, end], pairs);
    else {
      const anchors = once(a, b, [from, until, start, end]);
      for (const [one, other] of anchors) {
        between(from, one, start, other);
        pairs.push([one, other]);
        [from, start] = [one + 1, other + 1];
      }
      if (anchors.length) between(from, until, start, end);
      else alone([from, until, start, end], pairs);
    }
    for (let index = 0; index < tail; index++) pairs.push([until + index, end + index]);
  };
  between(0, a.length, 0, b.length);
  return pairs;
}

type Stretch = readonly [from: number, until: number, start: number, end: number];

function alone([from, until, start, end]: Stretch, pairs: Pair[]): void {
  for (let i = from; i < until; i++) pairs.push([i, -1]);
  for (let j = start; j < end; j++) pairs.push([-1, j]);
}

/** By the longest common subsequence. */
function subsequence(a: readonly string[], b: readonly string[], stretch: Stretch, pairs: Pair[]): void {
  const [from, until, start, end] = stretch;
  if (from === until || start === end) return alone(stretch, pairs);
  const width = end - start + 1;
  const longest = new Uint32Array((until - from + 1) * width);
  for (let i = until - from - 1; i >= 0; i--) {
    for (let j = width - 2; j >= 0; j--) {
      longest[i * width + j] = a[from + i] === b[start + j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  let [i, j] = [from, start];
  while (i < until && j < end) {
    const row = (i - from) * width + j - start;
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (longest[row + width]! >= longest[row + 1]!) pairs.push([i++, -1]);
    else pairs.push([-1, j++]);
  }
  alone([i, until, j, end], pairs);
}

/** The longest rising row of entries that each list has just once. */
function once(a: readonly string[], b: readonly string[], [from, until, start, end]: Stretch): Pair[] {
  const places = (list: readonly string[], first: number, last: number) => {
    const found = new Map<string, number>();
    for (let at = first; at < last; at++) found.set(list[at]!, found.has(list[at]!) ? -1 : at);
    return found;
  };
  const [ones, others] = [places(a, from, until), places(b, start, end)];
  const both = [...ones].flatMap(([text, one]) => (one >= 0 && (others.get(text) ?? -1) >= 0 ? [[one, others.get(text)!] as const] : []));
  const ends: number[] = []; // of rows by their length, the entry of `both` with the lowest end
  const before = new Int32Array(both.length).fill(-1);
  both.forEach(([, other], index) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      both[ends[middle]!]![1] < other ? (low = middle + 1) : (high = middle);
    }
    before[index] = low ? ends[low - 1]! : -1;
    ends[low] = index;
  });
  const row: Pair[] = [];
  for (let index = ends.at(-1) ?? -1; index >= 0; index = before[index]!) row.push(both[index]!);
  return row.reverse();
}
