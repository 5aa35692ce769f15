import { useState } from 'preact/hooks';
import { Owners, Sessions, type SessionFilter, type SessionOrder, type SessionRow } from '../documents.ts';
import { ask } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useCalm, useLive, useLoad, useRows } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Badge, Empty, Time, Trouble } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { lazy } from '../parts/lazy.tsx';

const SessionView = lazy(async () => (await import('./session.tsx')).SessionView);

const ROW = 64;
const PAGE = 50;
const EVERY_MS = 2500;

const ORDERS: Record<string, string> = { LAST_ACTIVE_AT: 'last active', CREATED_AT: 'newest', MESSAGE_COUNT: 'most messages', TITLE: 'title' };
const SINCE: Record<string, number> = { hour: 3600, day: 86_400, week: 604_800 };

type Choice = 'kind' | 'status' | 'participant' | 'since' | 'annotation' | 'sort';

function filterOf(query: URLSearchParams): SessionFilter {
  const of = (name: Choice | 'text') => query.get(name);
  const since = SINCE[of('since') ?? ''];
  return {
    ...(of('kind') ? { kinds: [of('kind')] as SessionFilter['kinds'] } : {}),
    ...(of('status') ? { statuses: [of('status')] as SessionFilter['statuses'] } : {}),
    ...(of('participant') ? { participant: { id: of('participant')! } } : {}),
    ...(since ? { activeSince: new Date(Date.now() - since * 1000).toISOString() } : {}),
    ...(of('annotation') ? { annotation: { names: [of('annotation')!] } } : {}),
    ...(of('text') ? { or: [{ text: of('text') }, { said: of('text') }] } : {}),
  };
}

const orderOf = (query: URLSearchParams): SessionOrder => {
  const field = (query.get('sort') ?? 'LAST_ACTIVE_AT') as SessionOrder['field'] & string;
  return { field, direction: field === 'TITLE' ? 'ASC' : 'DESC' };
};

export default function SessionsPage({ path, query }: PageProps) {
  const [open] = path;
  return (
    <div class={open ? 'split open' : 'split'}>
      <Sidebar query={query} open={open} />
      {open && <SessionView key={open} id={open} query={query} />}
    </div>
  );
}

function Sidebar({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const [paused, setPaused] = useState(false);
  const [waiting, setWaiting] = useState<SessionRow[]>([]);
  const kept = new URLSearchParams([...query].filter(([name]) => ['text', 'kind', 'status', 'participant', 'since', 'annotation', 'sort'].includes(name)));
  const key = useCalm(kept.toString());
  const list = useRows<SessionRow>(key, async (after, signal) => {
    const variables = { first: PAGE, after, filter: filterOf(kept), orderBy: orderOf(kept) };
    return (await ask(Sessions, variables, signal)).sessions;
  });
  // What is new or has changed comes in by itself.
  useLive(paused ? undefined : key, async (signal) => {
    while (!signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (signal.aborted || document.hidden) continue;
      const variables = { first: PAGE, filter: filterOf(kept), orderBy: orderOf(kept) };
      const found = await ask(Sessions, variables, signal).catch(() => undefined);
      if (found && !signal.aborted) arrived(found.sessions.nodes);
    }
  });
  const arrived = (nodes: readonly SessionRow[]) => {
    const scrolled = (document.querySelector('.sessions [data-list]')?.scrollTop ?? 0) > ROW;
    list.change((rows) => {
      const known = new Map(rows.map((row) => [row.id, row]));
      const fresh = nodes.filter(({ id }) => !known.has(id));
      if (scrolled) {
        setWaiting(fresh);
        const now = new Map(nodes.map((row) => [row.id, row]));
        return rows.map((row) => now.get(row.id) ?? row);
      }
      const first = new Set(nodes.map(({ id }) => id));
      setWaiting([]);
      return [...nodes, ...rows.filter(({ id }) => !first.has(id))];
    });
  };
  const show = () => {
    list.change((rows) => [...waiting, ...rows]);
    setWaiting([]);
    document.querySelector('.sessions [data-list]')?.scrollTo(0, 0);
  };
  useKeys([{ key: 'p', does: paused ? 'Live again' : 'Pause', run: () => setPaused(!paused) }]);
  return (
    <section class="sessions pane" aria-label="Sessions" data-follow={open ? '' : undefined}>
      <Filters query={query} />
      <div class="bar">
        <button type="button" class="quiet" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          <span class={paused ? 'dot' : 'dot live'} /> {paused ? 'paused' : 'live'}
        </button>
        {waiting.length > 0 && <button type="button" class="main" onClick={show}>{waiting.length} new</button>}
        <span class="soft" role="status">{list.busy ? 'Loading…' : `${list.rows.length}${list.hasMore ? '+' : ''} sessions`}</span>
      </div>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !list.rows.length && <Nothing filtered={kept.size > 0} />}
      {list.rows.length > 0 && (
        <List rows={list.rows} label="Sessions" height={ROW} id={({ id }) => id} selected={open} hasMore={list.hasMore} onMore={list.more}
          address={({ id }) => to(['sessions', id], Object.fromEntries(kept))} draw={(row) => <Row row={row} />} />
      )}
    </section>
  );
}

const Row = ({ row }: { row: SessionRow }) => (
  <>
    <span class="first">
      <bdi class="title">{row.title || 'Untitled'}</bdi>
      <Time at={row.lastActiveAt} />
    </span>
    <span class="second">
      <Badge of={row.kind} />
      {row.status !== 'ENDED' && <Badge of={row.status} />}
      <span class="soft cut"><bdi>{row.participants.nodes.filter(({ type }) => type !== 'TOOL').map(({ name }) => name).join(', ')}</bdi></span>
      <span class="soft figure">{row.messageCount} {row.messageCount === 1 ? 'message' : 'messages'}</span>
    </span>
  </>
);

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No session is like that">
        <p><button type="button" onClick={() => put({ text: null, kind: null, status: null, participant: null, since: null, annotation: null })}>Take the filters away</button></p>
      </Empty>
    );
  }
  return (
    <Empty title="No sessions yet">
      <p>Bring conversations that you have:</p>
      <pre>recollect import conversations.json --url {document.baseURI}</pre>
      <p>send spans of an agent to <code>{new URL('v1/traces', document.baseURI).href}</code>, or look at the demo: <code>recollect serve --demo</code></p>
    </Empty>
  );
}

function Filters({ query }: { query: URLSearchParams }) {
  const { data } = useLoad('owners', (signal) => ask(Owners, {}, signal));
  const people = [...(data?.users.nodes ?? []), ...(data?.agents.nodes ?? [])];
  const choose = (name: Choice) => (event: { currentTarget: HTMLSelectElement }) => put({ [name]: event.currentTarget.value });
  const select = (name: Choice, label: string, options: Record<string, string>, any = `any ${label}`) => (
    <select aria-label={label} value={query.get(name) ?? (any ? '' : Object.keys(options)[0]!)} onChange={choose(name)}>
      {any && <option value="">{any}</option>}
      {Object.entries(options).map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  );
  return (
    <div class="filters" role="search">
      <input type="search" placeholder="Title or words said" aria-label="Title or words said" value={query.get('text') ?? ''} onInput={(event) => put({ text: event.currentTarget.value })} />
      {select('kind', 'kind', { CHAT: 'chat', PANEL: 'panel', WORKFLOW: 'workflow', PLAYGROUND: 'playground' })}
      {select('status', 'status', { ACTIVE: 'active', ENDED: 'ended', ARCHIVED: 'archived' })}
      {select('participant', 'participant', Object.fromEntries(people.map(({ id, name }) => [id, name])), 'anyone')}
      {select('since', 'time', { hour: 'last hour', day: 'last day', week: 'last week' })}
      {select('sort', 'order', ORDERS, '')}
      <input type="text" placeholder="annotation" aria-label="Annotation, by its name" value={query.get('annotation') ?? ''} onChange={(event) => put({ annotation: event.currentTarget.value })} />
    </div>
  );
}
