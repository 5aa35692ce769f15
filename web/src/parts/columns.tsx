/** What a list shows of each row, as the reader chose it; this browser keeps it. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';

/** Its words, and whether it is shown where nobody chose. */
type Column = readonly [text: string, shown: boolean];

/** The names of columns to show, and what they are chosen by. */
export function useColumns(list: string, all: Readonly<Record<string, Column>>): [ReadonlySet<string>, VNode] {
  const key = `recollect.columns.${list}`;
  const [shown, setShown] = useState<ReadonlySet<string>>(() => kept(key) ?? new Set(Object.keys(all).filter((name) => all[name]![1])));
  const flip = (name: string) => {
    const next = new Set(shown);
    next.delete(name) || next.add(name);
    localStorage.setItem(key, JSON.stringify([...next]));
    setShown(next);
  };
  const chooser = (
    <details class="columns" onKeyDown={(event) => event.key === 'Escape' && (event.stopPropagation(), (event.currentTarget.open = false))}>
      <summary class="soft">Columns</summary>
      <fieldset>
        <legend class="soft">Shown of each</legend>
        {Object.entries(all).map(([name, [text]]) => <label key={name}><input type="checkbox" checked={shown.has(name)} onChange={() => flip(name)} /> {text}</label>)}
      </fieldset>
    </details>
  );
  return [shown, chooser];
}

function kept(key: string): ReadonlySet<string> | undefined {
  try {
    const names: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
    return Array.isArray(names) ? new Set(names.map(String)) : undefined;
  } catch {
    return undefined;
  }
}
