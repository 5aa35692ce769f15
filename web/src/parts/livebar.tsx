import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { useKeys } from './keys.ts';
import { useRows, type Held, type Rows, type Source } from './rows.ts';

const TOP = 64; // px from the top of a list at which new rows still come in by themselves

interface Live<Row extends { id: string }> {
  list: Rows<Row>;
  paused: boolean;
  pause: () => void;
}

/** Rows that come in by themselves while the reader is at the top and has not paused them. */
export function useLiveRows<Row extends { id: string }>(key: string, source: Source<Row>): Live<Row> {
  const [paused, setPaused] = useState(false);
  const isPaused = useRef(false);
  isPaused.current = paused;
  const held = (): Held => (isPaused.current ? 'paused' : (document.querySelector('.sessions [data-list]')?.scrollTop ?? 0) > TOP ? 'scrolled' : 'no');
  const list = useRows(key, source, held);
  const pause = () => {
    if (paused) list.show();
    setPaused(!paused);
  };
  useKeys([{ key: 'p', does: paused ? 'Live again' : 'Pause', run: pause }]);
  return { list, paused, pause };
}

/** What there is of them, pause, and what waits. past: they change no more. */
export function LiveBar<Row extends { id: string }>({ live: { list, paused, pause }, what, past, children }: { live: Live<Row>; what: string; past?: boolean; children?: ComponentChildren }) {
  const show = () => {
    list.show();
    document.querySelector('.sessions [data-list]')?.scrollTo(0, 0);
  };
  return (
    <div class="bar">
      {past ? <span class="soft">as known then</span> : (
        <button type="button" class="quiet" aria-pressed={paused} onClick={pause}>
          <span class={paused ? 'dot' : 'dot live'} /> {paused ? 'paused' : 'live'}
        </button>
      )}
      {list.waiting > 0 && <button type="button" class="main" onClick={show}>{list.waiting.toLocaleString()} new</button>}
      {children}
      <span class="soft" role="status">{list.busy ? 'Loading…' : `${list.rows.length}${list.hasMore ? '+' : ''} ${what}`}</span>
    </div>
  );
}
