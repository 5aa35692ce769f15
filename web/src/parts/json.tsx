/** A viewer of JSON that opens only what is asked for, so that ten thousand members or a megabyte are no burden. */
import { useMemo, useState } from 'preact/hooks';
import { Copy } from './show.tsx';

const AT_ONCE = 100;
const LONG = 400;

interface Props {
  value: unknown;
  label?: string;
  /** How many levels are open at first. */
  levels?: number;
}

export function Json({ value, label = 'value', levels = 1 }: Props) {
  const [sought, setSought] = useState('');
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? 'null', [value]);
  const [picked, pick] = useState<Picked>();
  const hits = sought ? text.toLowerCase().split(sought.toLowerCase()).length - 1 : 0;
  return (
    <div class="json">
      {text.length > 2000 && (
        <label class="find">
          <span class="soft">Find</span>
          <input type="search" value={sought} onInput={(event) => setSought(event.currentTarget.value)} />
          {sought && <span class="soft" role="status">{hits} found</span>}
        </label>
      )}
      <Copy text={text} what={label} />
      {picked && (
        <p class="line picked" role="status">
          <code><bdi>{picked.path}</bdi></code> <Copy text={picked.path} what="path" />
          <span class="soft">value</span> <Copy text={typeof picked.value === 'string' ? picked.value : (JSON.stringify(picked.value, null, 2) ?? '')} what="value" />
        </p>
      )}
      <Node pick={pick} value={value} path="" name={undefined} levels={text.length > 50_000 ? Math.min(levels, 3) : levels} sought={sought.toLowerCase()} />
    </div>
  );
}

interface Picked {
  path: string;
  value: unknown;
}

const below = (path: string, key: string, isList: boolean): string => (isList ? `${path}[${key}]` : /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`);

interface NodeProps {
  /** Shows where a member is, to be copied. */
  pick: (picked: Picked) => void;
  value: unknown;
  path: string;
  name: string | undefined;
  levels: number;
  sought: string;
}

function Node({ pick, value, path, name, levels, sought }: NodeProps) {
  const [opened, setOpened] = useState<boolean>();
  const [shown, setShown] = useState(AT_ONCE);
  const has = useMemo(() => sought !== '' && JSON.stringify(value)?.toLowerCase().includes(sought), [value, sought]);
  const label = name === undefined ? null : <span class="name" dir="auto">{name}: </span>;
  if (value === null || typeof value !== 'object') return <div class="leaf" title={path}>{label && <button type="button" class="quiet" onClick={() => pick({ path, value })}>{label}</button>}<Leaf value={value} sought={sought} /></div>;
  const isList = Array.isArray(value);
  const members = Object.entries(value);
  const sign = isList ? `[${members.length}]` : `{${members.length}}`;
  if (!members.length) return <div class="leaf">{label}<span class="soft">{isList ? '[]' : '{}'}</span></div>;
  const wanted = sought ? members.filter(([key, one]) => key.toLowerCase().includes(sought) || JSON.stringify(one)?.toLowerCase().includes(sought)) : members;
  const isOpen = opened ?? (levels > 0 || has);
  return (
    <details open={isOpen} onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary title={path} onClick={() => path && pick({ path, value })}>{label}<span class="soft">{sign}</span></summary>
      {isOpen && (
        <div class="members">
          {wanted.slice(0, shown).map(([key, one]) => (
            <Node key={key} pick={pick} name={key} value={one} path={below(path, key, isList)} levels={levels - 1} sought={sought} />
          ))}
          {wanted.length > shown && (
            <button type="button" class="quiet" onClick={() => setShown(shown + AT_ONCE * 5)}>{wanted.length - shown} more</button>
          )}
        </div>
      )}
    </details>
  );
}

function Leaf({ value, sought }: { value: unknown; sought: string }) {
  const [whole, setWhole] = useState(false);
  if (typeof value !== 'string') return <span class="number">{String(value)}</span>;
  const cut = !whole && value.length > LONG && !sought;
  return (
    <span class="string" dir="auto">
      {cut ? value.slice(0, LONG) : value}
      {cut && <button type="button" class="quiet" onClick={() => setWhole(true)}>… all {value.length.toLocaleString()} characters</button>}
    </span>
  );
}
