import { Owners, SessionChanges, Sessions, type SessionFilter, type SessionOrder, type SessionRow } from '../documents.ts';
import { ask, follow } from '../server.ts';
import { put, to } from '../route.ts';
import { List } from '../parts/list.tsx';
import { useColumns } from '../parts/columns.tsx';
import { LiveBar, useLiveRows } from '../parts/livebar.tsx';
import { useCalm, useLoad } from '../parts/load.ts';
import { Badge, COSTS, Empty, Time, Trouble, count, dollars } from '../parts/show.tsx';
import type { PageProps } from '../shell.tsx';
import { lazy } from '../parts/lazy.tsx';

const SessionView = lazy(async () => (await import('./session.tsx')).SessionView);

const ROW = 64;
const PAGE = 50;
const FILTERS = ['text', 'kind', 'status', 'participant', 'since', 'dearer', 'annotation', 'sort'];

const ORDERS: Record<string, string> = { LAST_ACTIVE_AT: 'last active', CREATED_AT: 'newest', MESSAGE_COUNT: 'most messages', COST: 'dearest', TOKENS: 'most tokens', TITLE: 'title' };
const SINCE: Record<string, number> = { hour: 3600, day: 86_400, week: 604_800 };

type Choice = 'kind' | 'status' | 'participant' | 'since' | 'dearer' | 'annotation' | 'sort';

function filterOf(query: URLSearchParams): SessionFilter {
  const of = (name: Choice | 'text') => query.get(name);
  const since = SINCE[of('since') ?? ''];
  return {
    ...(of('kind') ? { kinds: [of('kind')] as SessionFilter['kinds'] } : {}),
    ...(of('status') ? { statuses: [of('status')] as SessionFilter['statuses'] } : {}),
    ...(of('participant') ? { participant: { id: of('participant')! } } : {}),
    ...(since ? { activeSince: new Date(Date.now() - since * 1000).toISOString() } : {}),
    ...(of('dearer') ? { costUsd: { min: Number(of('dearer')) } } : {}),
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

const RANKS: Record<string, (row: SessionRow) => string | number | null> = {
  LAST_ACTIVE_AT: (row) => row.lastActiveAt,
  CREATED_AT: (row) => row.createdAt,
  MESSAGE_COUNT: (row) => row.messageCount,
  COST: (row) => row.usage?.costUsd ?? null,
  TOKENS: (row) => row.usage?.totalTokens ?? null,
  TITLE: (row) => row.title,
};

function Sidebar({ query, open }: { query: URLSearchParams; open: string | undefined }) {
  const kept = new URLSearchParams([...query].filter(([name]) => FILTERS.includes(name)));
  const key = useCalm(kept.toString());
  const [filter, orderBy] = [filterOf(kept), orderOf(kept)];
  const live = useLiveRows<SessionRow>(key, {
    page: async (after, signal) => {
      const { sessions, sessionCursor } = await ask(Sessions, { first: PAGE, after, filter, orderBy }, signal);
      return [sessions, after === null ? sessionCursor : undefined];
    },
    follow: (after, told, signal) =>
      follow(SessionChanges, { filter, after }, (data) => data.sessionChanges, ({ sessionId, left, session }) => told(sessionId, left ? null : session), signal),
    rank: RANKS[orderBy.field!]!,
    ascending: orderBy.direction === 'ASC',
  });
  const { list } = live;
  const [columns, chooser] = useColumns('sessions', COLUMNS);
  return (
    <section class="sessions pane" aria-label="Sessions" data-follow={open ? '' : undefined}>
      <Filters query={query} />
      <LiveBar live={live} what="sessions">{chooser}</LiveBar>
      {list.error && <Trouble error={list.error} again={list.again} />}
      {!list.busy && !list.error && !list.rows.length && <Nothing filtered={kept.size > 0} />}
      {list.rows.length > 0 && (
        <List rows={list.rows} label="Sessions" height={ROW} id={({ id }) => id} selected={open} hasMore={list.hasMore} onMore={list.more}
          address={({ id }) => to(['sessions', id], Object.fromEntries(kept))} draw={(row) => <Row row={row} columns={columns} />} />
      )}
    </section>
  );
}

const COLUMNS = { kind: ['kind', true], status: ['status', true], people: ['who takes part', true], messages: ['messages', true], tokens: ['tokens', false], cost: ['cost', true], created: ['made', false], active: ['last active', true] } as const;

const Row = ({ row, columns }: { row: SessionRow; columns: ReadonlySet<string> }) => (
  <>
    <span class="first">
      <bdi class="title">{row.title || 'Untitled'}</bdi>
      {columns.has('active') && <Time at={row.lastActiveAt} />}
    </span>
    <span class="second">
      {columns.has('kind') && <Badge of={row.kind} />}
      {columns.has('status') && row.status !== 'ENDED' && <Badge of={row.status} />}
      <span class="soft cut"><bdi>{columns.has('people') && row.participants.nodes.filter(({ type }) => type !== 'TOOL').map(({ name }) => name).join(', ')}</bdi></span>
      {columns.has('created') && <span class="soft">made <Time at={row.createdAt} /></span>}
      {columns.has('tokens') && row.usage?.totalTokens != null && <span class="soft figure">{count(row.usage.totalTokens)} tokens</span>}
      {columns.has('cost') && row.usage?.costUsd != null && <span class="soft figure">{dollars(row.usage.costUsd)}</span>}
      {columns.has('messages') && <span class="soft figure">{row.messageCount} {row.messageCount === 1 ? 'message' : 'messages'}</span>}
    </span>
  </>
);

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) {
    return (
      <Empty title="No session is like that">
        <p><button type="button" onClick={() => put(Object.fromEntries(FILTERS.map((name) => [name, null])))}>Take the filters away</button></p>
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
      {select('dearer', 'cost', COSTS)}
      {select('sort', 'order', ORDERS, '')}
      <input type="text" placeholder="annotation" aria-label="Annotation, by its name" value={query.get('annotation') ?? ''} onChange={(event) => put({ annotation: event.currentTarget.value })} />
    </div>
  );
}
