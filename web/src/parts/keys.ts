/** What the keyboard does: keys of the page that is shown, and those that are the same everywhere. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

export interface Key {
  key: string;
  does: string;
  run: () => void;
}

const registered = new Set<readonly Key[]>();
export const changed = signal(0);

/** Keys of the part of the page that is there, the newest first. */
export const keys = (): Key[] => [...registered].reverse().flat();

export function useKeys(list: readonly Key[]): void {
  useEffect(() => {
    registered.add(list);
    changed.value++;
    return () => {
      registered.delete(list);
      changed.value++;
    };
  });
}

export const palette = signal(false);
export const help = signal(false);

const isTyping = (at: EventTarget | null): boolean =>
  at instanceof HTMLElement && (at.isContentEditable || at.matches('input:not([type=checkbox]):not([type=range]), textarea, select') || at.shadowRoot !== null);

/** To the next or previous link of the list that is shown. */
export function step(by: number): void {
  const list = document.querySelector('[data-list]');
  if (!list) return;
  const links = [...list.querySelectorAll<HTMLElement>('a[data-index]')];
  const now = Number((document.activeElement as HTMLElement | null)?.dataset?.['index'] ?? list.querySelector<HTMLElement>('[aria-current=true]')?.dataset['index'] ?? -1);
  const next = links.find(({ dataset }) => Number(dataset['index']) === now + by) ?? (now === -1 ? links[0] : undefined);
  next?.focus();
}

addEventListener('keydown', (event) => {
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    palette.value = !palette.value;
    return;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target) || palette.value || document.querySelector('dialog.annotate')) return;
  if (event.key === '?') help.value = !help.value;
  else if (event.key === '/') document.querySelector<HTMLElement>('main input[type=search]')?.focus();
  else {
    const found = keys().find(({ key }) => key === event.key);
    if (found) found.run();
    else if (event.key === 'j') step(1);
    else if (event.key === 'k') step(-1);
    else return;
  }
  event.preventDefault();
});
