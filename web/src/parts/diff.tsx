/** What has changed between two texts: word by word, or line by line. */
import { useMemo, useState } from 'preact/hooks';
import { align } from '../align.ts';

type Piece = [kind: 'same' | 'gone' | 'new', text: string];

function differences(before: string, after: string): Piece[] {
  const [a, b] = [before, after].map((text) => text.split(/(\s+)/).filter(Boolean)) as [string[], string[]];
  const pieces: Piece[] = [];
  for (const [one, other] of align(a, b)) {
    const kind = other < 0 ? 'gone' : one < 0 ? 'new' : 'same';
    const text = other < 0 ? a[one]! : b[other]!;
    const last = pieces.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else pieces.push([kind, text]);
  }
  return pieces;
}

const Words = ({ before, after }: { before: string; after: string }) => (
  <>{differences(before, after).map(([kind, text], index) => (kind === 'gone' ? <del key={index}>{text}</del> : kind === 'new' ? <ins key={index}>{text}</ins> : <span key={index}>{text}</span>))}</>
);

export const Diff = ({ before, after }: { before: string; after: string }) => <p class="diff" dir="auto"><Words before={before} after={after} /></p>;

/** Equal lines that are not near a difference are one entry. */
type Row = { kind: 'same' | 'gone' | 'new'; text: string } | { kind: 'changed'; before: string; after: string } | { kind: 'folded'; lines: string[] };

const NEAR = 2; // equal lines shown beside a difference
const AT_ONCE = 300; // rows; more on request

function rowsOf(before: string, after: string): Row[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  const rows: Row[] = [];
  const [gone, fresh, same]: [string[], string[], string[]] = [[], [], []];
  const flush = () => {
    if (gone.length === fresh.length) gone.forEach((text, index) => rows.push({ kind: 'changed', before: text, after: fresh[index]! }));
    else rows.push(...gone.map((text) => ({ kind: 'gone' as const, text })), ...fresh.map((text) => ({ kind: 'new' as const, text })));
    gone.length = fresh.length = 0;
  };
  const rest = (isLast: boolean) => {
    const [head, tail] = [rows.length ? NEAR : 0, isLast ? 0 : NEAR];
    const folds = same.length > head + tail + 1;
    const shown = (lines: string[]) => rows.push(...lines.map((text) => ({ kind: 'same' as const, text })));
    shown(folds ? same.slice(0, head) : same);
    if (folds) {
      rows.push({ kind: 'folded', lines: same.slice(head, same.length - tail) });
      shown(tail ? same.slice(-tail) : []);
    }
    same.length = 0;
  };
  for (const [one, other] of align(a, b)) {
    if (one >= 0 && other >= 0) {
      flush();
      same.push(a[one]!);
      continue;
    }
    if (same.length) rest(false);
    (other < 0 ? gone : fresh).push(other < 0 ? a[one]! : b[other]!);
  }
  flush();
  rest(true);
  return rows;
}

function inside(row: Row) {
  switch (row.kind) {
    case 'folded':
      return row.lines.join('\n');
    case 'changed':
      return <Words before={row.before} after={row.after} />;
    case 'gone':
      return <del>{row.text}</del>;
    case 'new':
      return <ins>{row.text}</ins>;
    default:
      return row.text;
  }
}

const SIGNS: Record<string, string> = { same: ' ', folded: ' ', changed: '~', gone: '−', new: '+' };

/** Line by line; in lines that took each other's place word by word. */
export function Lines({ before, after, label }: { before: string; after: string; label: string }) {
  const rows = useMemo(() => rowsOf(before, after), [before, after]);
  const [shown, setShown] = useState(AT_ONCE);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  if (before === after) return <p class="soft">The same{before ? <details><summary>show</summary><pre class="plain" dir="auto">{before}</pre></details> : ': nothing'}.</p>;
  return (
    <div class="lines" role="group" aria-label={label} tabIndex={0}>
      {rows.slice(0, shown).map((row, index) => {
        if (row.kind === 'folded' && !open.has(index)) return <button key={index} type="button" class="quiet" onClick={() => setOpen(new Set([...open, index]))}>{row.lines.length.toLocaleString()} lines that are the same</button>;
        return <div key={index} class={`text ${row.kind}`}><span class="sign">{SIGNS[row.kind]}</span><span dir="auto">{inside(row)}</span></div>;
      })}
      {rows.length > shown && <button type="button" class="quiet" onClick={() => setShown(shown + AT_ONCE * 5)}>{(rows.length - shown).toLocaleString()} more</button>}
    </div>
  );
}
