/** What has changed between two texts, word by word. */

const LONGEST = 3000; // words on each side; longer texts are shown as a whole

type Piece = [kind: 'same' | 'gone' | 'new', text: string];

export function differences(before: string, after: string, by = /(\s+)/): Piece[] {
  const a = before.split(by).filter(Boolean);
  const b = after.split(by).filter(Boolean);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const pieces: Piece[] = [['same', a.slice(0, head).join('')]];
  pieces.push(...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)));
  pieces.push(['same', a.slice(a.length - tail).join('')]);
  return pieces.filter(([, text]) => text);
}

/** By the longest common subsequence. */
function middle(a: string[], b: string[]): Piece[] {
  if (!a.length || !b.length || a.length > LONGEST || b.length > LONGEST) return [['gone', a.join('')], ['new', b.join('')]];
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  const pieces: Piece[] = [];
  const add = (kind: Piece[0], text: string) => {
    const last = pieces.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else pieces.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add('same', a[i++]!);
      j++;
    } else if (j >= b.length || (i < a.length && longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!)) add('gone', a[i++]!);
    else add('new', b[j++]!);
  }
  return pieces;
}

export const Diff = ({ before, after }: { before: string; after: string }) => (
  <p class="diff" dir="auto">
    {differences(before, after).map(([kind, text], index) => (kind === 'gone' ? <del key={index}>{text}</del> : kind === 'new' ? <ins key={index}>{text}</ins> : <span key={index}>{text}</span>))}
  </p>
);
