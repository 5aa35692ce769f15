import { useState } from 'preact/hooks';
import { put } from '../route.ts';

/** As an input of a time in the reader's zone has it. */
const local = (iso: string): string => {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? '' : new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};

/** The time as of which things are shown as they were known; in the address as `asOf`. oldest: from when a slider goes to now. */
export function AsOf({ query, oldest }: { query: URLSearchParams; oldest?: number }) {
  const asOf = query.get('asOf') ?? '';
  const [moved, setMoved] = useState<number>();
  const now = Date.now();
  const set = (time: number) => {
    setMoved(undefined);
    put({ asOf: time >= now - 1000 ? null : new Date(time).toISOString() });
  };
  const shown = moved === undefined ? asOf : new Date(moved).toISOString();
  return (
    <span class="asof">
      <label>known at <input type="datetime-local" step={1} value={shown && local(shown)} onChange={(event) => event.currentTarget.value ? set(new Date(event.currentTarget.value).getTime()) : put({ asOf: null })} /></label>
      {oldest !== undefined && Number.isFinite(oldest) && (
        <input type="range" aria-label="Time at which it was known" min={oldest - 1000} max={now} step="any" value={Date.parse(shown) || now}
          onInput={(event) => setMoved(Number(event.currentTarget.value))} onChange={(event) => set(Number(event.currentTarget.value))} />
      )}
      {asOf && <button type="button" class="quiet" onClick={() => put({ asOf: null })}>now</button>}
    </span>
  );
}
