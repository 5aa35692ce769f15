/** Where the page is: all of it stands in the address, so that any place can be sent to somebody. */
import { signal } from '@preact/signals';

const base = new URL('.', document.baseURI);

export interface Place {
  path: string[];
  query: URLSearchParams;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function here(): Place {
  const path = location.pathname.slice(base.pathname.length).split('/').filter(Boolean);
  return { path: path.map(decoded), query: new URLSearchParams(location.search) };
}

export const place = signal<Place>(here());

/** The address of a place. */
export function to(path: readonly string[], query: Record<string, string | undefined> = {}): string {
  const found = new URL(path.map(encodeURIComponent).join('/'), base);
  for (const [name, value] of Object.entries(query)) if (value) found.searchParams.set(name, value);
  return found.pathname + found.search;
}

export function go(address: string, replace = false): void {
  if (address === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  place.value = here();
}

/** Changes parameters of this place; an empty one is taken away. */
export function put(changes: Record<string, string | null | undefined>, replace = true): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  go(location.pathname + (text && `?${text}`), replace);
}

addEventListener('popstate', () => (place.value = here()));

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest?.('a[href]');
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
  if (link.origin !== location.origin || !link.pathname.startsWith(base.pathname) || link.dataset['plain'] !== undefined) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
