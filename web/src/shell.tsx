/** What is around each page: where one can go, the sign-in, and the keys that are the same everywhere. */
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { ask, hasKey, locked, signOut, unconnected } from './server.ts';
import { Viewer } from './documents.ts';
import { go, place, to } from './route.ts';
import { help, palette, useKeys } from './parts/keys.ts';
import { annotating } from './parts/annotations.tsx';
import { lazy } from './parts/lazy.tsx';
import { SignIn } from './pages/signin.tsx';
import { Help, Palette } from './parts/palette.tsx';

export interface PageProps {
  path: readonly string[];
  query: URLSearchParams;
}

// Each page is a file of its own, fetched when it is first opened.
const PAGES: Record<string, ComponentType<PageProps>> = {
  sessions: lazy(async () => (await import('./pages/sessions.tsx')).default),
  traces: lazy(async () => (await import('./pages/traces.tsx')).default),
  memories: lazy(async () => (await import('./pages/memories.tsx')).default),
  query: lazy(async () => (await import('./pages/query.tsx')).default),
  operate: lazy(async () => (await import('./pages/operate.tsx')).default),
};
const Annotate = lazy(async () => (await import('./parts/annotate.tsx')).Annotate);
const NAMES: Record<string, string> = { sessions: 'Sessions', traces: 'Traces', memories: 'Memories', query: 'Query', operate: 'Operate' };

const theme = signal(localStorage.getItem('recollect.theme') ?? 'auto');
const THEMES = ['auto', 'light', 'dark'];

function useTheme(): void {
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme.value;
    localStorage.setItem('recollect.theme', theme.value);
  }, [theme.value]);
}

export function Shell() {
  const { path, query } = place.value;
  const [name = 'sessions', ...rest] = path;
  useTheme();
  useEffect(() => void ask(Viewer, {}).catch(() => undefined), [locked.value]);
  useKeys([
    { key: 's', does: 'Sessions', run: () => go(to(['sessions'])) },
    { key: 't', does: 'Traces', run: () => go(to(['traces'])) },
    { key: 'm', does: 'Memories', run: () => go(to(['memories'])) },
    { key: 'q', does: 'Query', run: () => go(to(['query'])) },
    { key: 'o', does: 'Operate', run: () => go(to(['operate'])) },
  ]);
  useEffect(() => {
    document.title = `${NAMES[name] ?? 'Not found'} · Recollect`;
  }, [name]);
  if (locked.value) return <SignIn />;
  return (
    <>
      <a class="skip" href="#page" onClick={() => document.getElementById('page')?.focus()} data-plain>To the page</a>
      <header class="top">
        <a class="mark" href={to(['sessions'])}>Recollect</a>
        <nav aria-label="Pages">
          {Object.entries(NAMES).map(([key, text]) => (
            <a key={key} href={to([key])} aria-current={key === name ? 'page' : undefined}>{text}</a>
          ))}
        </nav>
        <div class="tools">
          {unconnected.value > 0 && <span class="away" role="status">reconnecting…</span>}
          <button type="button" class="quiet" onClick={() => (palette.value = true)} title="Go to anything (Ctrl+K)">
            Go to <kbd>Ctrl K</kbd>
          </button>
          <button type="button" class="quiet" onClick={() => (theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % 3]!)} title="Light, dark, or as the system is">
            {theme}
          </button>
          <button type="button" class="quiet" onClick={() => (help.value = true)} aria-label="Keys" title="Keys (?)">?</button>
          {hasKey() && <button type="button" class="quiet" onClick={signOut}>Sign out</button>}
        </div>
      </header>
      <main id="page" tabIndex={-1}>
        <Shown key={name} name={name} path={rest} query={query} />
      </main>
      {palette.value && <Palette />}
      {help.value && <Help />}
      {annotating.value && <Annotate key={annotating.value.id} target={annotating.value} />}
    </>
  );
}

function Shown({ name, path, query }: PageProps & { name: string }) {
  const Page = PAGES[name];
  return Page ? <Page path={path} query={query} /> : <div class="empty"><h1>There is no such page</h1><p><a href={to(['sessions'])}>To the sessions</a></p></div>;
}
