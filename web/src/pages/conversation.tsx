/** The messages of a session, the latest first in sight; while it goes on they come in, with what is at work. */
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MessagePlaces, Messages, MessagesById, NewMessages, SessionEvents, type MessageShown, type SessionEvent, type SessionHead } from '../documents.ts';
import { put, to } from '../route.ts';
import { ask, follow, type Problem } from '../server.ts';
import { asProblem, useClock, useLive } from '../parts/load.ts';
import { Badge, Empty, Trouble, span } from '../parts/show.tsx';
import { MessageCard } from './message.tsx';

const PAGE = 40;
const LONG_PAGE = 200;
const FAR = 2000; // messages that are read to reach one
const MOST = 1000; // of a page
const KEPT = 500; // messages that are shown while more come in; others are read again
const MANY = 100; // messages that are read at once
const AGAIN_MS = 1000;
const SOON_MS = 100; // between two changes of what is shown, however many messages come

interface Shown {
  messages: readonly MessageShown[];
  /** The cursor of the first, null where none is before it; undefined where that came in live and is not known. */
  before: string | null | undefined;
  /** The message at which they end, where that is not the latest. */
  upTo: string | null;
  /** After which others come in, of when the latest were read. */
  after: string;
  /** How often they were read. */
  turn: number;
  /** Whether more have come since than are kept, which is where a reader of earlier ones stays. */
  cut?: boolean;
}

export function Conversation({ head, query }: { head: SessionHead; query: URLSearchParams }) {
  const { id } = head;
  const [target] = useState(query.get('message'));
  const thread = query.get('thread');
  const [shown, setShown] = useState<Shown>();
  const [error, setError] = useState<Problem>();
  const [fresh, setFresh] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const loading = useRef(false);
  const turn = useRef(0);
  const drawn = useRef<ReadonlyMap<string, Drawn>>(new Map());
  const filter = thread ? { thread } : null;

  const page = async (way: { last: number; before?: string }, branch: string | null): Promise<Shown> => {
    const { session } = await ask(Messages, { id, branch, filter, ...way });
    if (!session) throw asProblem('The session is gone.');
    const { nodes, pageInfo } = session.messages;
    return { messages: [...nodes], before: pageInfo.hasPreviousPage ? pageInfo.startCursor : null, upTo: null, after: session.messageCursor, turn: turn.current++ };
  };
  /** The end of the session, as far back as the message that the address names; where that is too far, what is up to it. */
  const begin = async (): Promise<Shown> => {
    let shown = await page({ last: PAGE }, query.get('branch'));
    while (target && shown.before && shown.messages.length < FAR && !shown.messages.some((one) => one.id === target)) {
      const earlier = await page({ last: LONG_PAGE, before: shown.before }, query.get('branch'));
      shown = { ...shown, before: earlier.before, messages: joined(earlier.messages, shown.messages) };
    }
    if (!target || shown.messages.some((one) => one.id === target)) return shown;
    return { ...(await page({ last: PAGE }, target)), upTo: target };
  };
  const failed = (problem: unknown) => setError(asProblem(problem));

  useEffect(() => {
    begin().then(setShown).catch(failed);
  }, []);

  // Whether the reader is with the latest: until the scroller goes up while nothing of its content went away.
  const sticks = useRef(true);
  const was = useRef({ top: 0, height: 0 });
  const isAtEnd = () => {
    const box = scroller.current;
    return !box || box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  };
  const toEnd = () => {
    sticks.current = true;
    setFresh(0);
    rest(() => scroller.current?.scrollTo(0, scroller.current.scrollHeight), () => sticks.current);
  };
  /** To the latest, which are read where they were not kept. */
  const catchUp = async () => {
    if (!shown?.cut) return toEnd();
    if (loading.current) return;
    loading.current = true;
    try {
      setShown(await page({ last: PAGE }, null));
      toEnd();
    } catch (problem) {
      failed(problem);
    }
  };

  const earlier = async () => {
    if (loading.current || !shown || shown.before === null) return;
    loading.current = true;
    const box = scroller.current!;
    const height = box.scrollHeight - box.scrollTop;
    try {
      const before = shown.before ?? (await cursorOf(shown.messages[0]!.id));
      const more = await page({ last: PAGE, before }, shown.upTo ?? query.get('branch'));
      setShown((now) => now && { ...now, messages: joined(more.messages, now.messages), before: more.before });
      requestAnimationFrame(() => box.scrollTo(0, box.scrollHeight - height));
    } catch (problem) {
      failed(problem);
    }
    loading.current = false;
  };
  /** Where a message stands that came in live, sought from the end. */
  const cursorOf = async (message: string, before: string | null = null): Promise<string> => {
    const { session } = await ask(MessagePlaces, { id, filter, last: MOST, before });
    if (!session) throw asProblem('The session is gone.');
    const { edges, pageInfo } = session.messages;
    const found = edges.find(({ node }) => node.id === message);
    if (found) return found.cursor;
    if (!pageInfo.hasPreviousPage) throw asProblem('The message is gone.');
    return cursorOf(message, pageInfo.startCursor);
  };

  // Told by their ids, and read many at once: each alone would cost the server and the page as much as a hundred.
  const late = useRef<string[]>([]);
  const arrived = async () => {
    if (loading.current) return void setTimeout(() => latest.current(), SOON_MS);
    loading.current = true;
    const [came, now, of] = [[...late.current], shown!, turn.current];
    const follows = sticks.current;
    try {
      const read: MessageShown[] = [];
      const ids = now.cut ? [] : came.slice(-KEPT); // those before them would leave at once
      for (let at = 0; at < ids.length; at += MANY) {
        const { nodes } = await ask(MessagesById, { ids: ids.slice(at, at + MANY) });
        read.push(...nodes.filter((node) => node?.__typename === 'Message'));
      }
      late.current = late.current.slice(came.length);
      const results = new Set(read.flatMap(({ content }) => content.flatMap((part) => (part.__typename === 'ToolResponse' ? [part.callId] : []))));
      if (results.size) again(now.messages.filter(({ content }) => content.some((part) => part.__typename === 'ToolCall' && !part.response && results.has(part.callId))).map((one) => one.id));
      if (of === turn.current) setShown((shown) => shown && { ...shown, ...extended(shown, read, came.length > KEPT, follows) });
      if (follows && !now.cut) toEnd();
      else setFresh((now) => now + came.length);
      if (late.current.length) setTimeout(() => latest.current(), SOON_MS);
    } catch {
      setTimeout(() => latest.current(), AGAIN_MS); // the network is away, or a store: they are asked for again
    }
    loading.current = false;
  };
  const latest = useRef(arrived);
  latest.current = arrived;

  /** Reads those that are shown as they are now: a tool has begun, ended or answered. */
  const again = (told: readonly string[]) => {
    const ids = told.filter((id) => drawn.current.has(id)).slice(-LONG_PAGE);
    if (!ids.length) return;
    ask(MessagesById, { ids })
      .then(({ nodes }) => {
        const now = new Map(nodes.flatMap((node) => (node?.__typename === 'Message' ? [[node.id, node] as const] : [])));
        setShown((shown) => shown && { ...shown, messages: shown.messages.map((one) => now.get(one.id) ?? one) });
      })
      .catch(() => undefined);
  };
  const running = useRunning(head, again);

  useLive(shown && !shown.upTo && !query.get('branch') ? String(shown.turn) : undefined, (signal) => {
    late.current = []; // what was followed before this is in what was read, if it is not older
    loading.current = false;
    return follow(
      NewMessages,
      { id, after: shown!.after },
      ({ sessionMessages }) => sessionMessages,
      ({ node }) => {
        if (thread && node.thread?.name !== thread) return;
        if (late.current.push(node.id) === 1) setTimeout(() => latest.current(), SOON_MS);
      },
      signal,
    );
  }, failed);

  useLayoutEffect(() => {
    if (!shown) return;
    const aim = target && document.getElementById(target);
    if (!aim) return toEnd();
    sticks.current = false;
    return rest(() => aim.scrollIntoView({ block: 'center' }));
  }, [shown !== undefined]);

  const onScroll = () => {
    const box = scroller.current!;
    const { top, height } = was.current;
    was.current = { top: box.scrollTop, height: box.scrollHeight };
    if (isAtEnd()) sticks.current = true;
    else if (box.scrollTop < top - 1 && box.scrollHeight >= height) sticks.current = false;
    if (box.scrollTop < 200) void earlier();
    if (isAtEnd() && !shown?.cut) setFresh(0);
  };

  if (error) return <Trouble error={error} again={() => location.reload()} />;
  if (!shown) return <p class="soft wait">Loading…</p>;
  const { messages } = shown;
  const answered = new Set(messages.flatMap(({ content }) => content.flatMap((part) => (part.__typename === 'ToolCall' && part.response ? [part.callId] : []))));
  // A message that is as it was is not looked at again when others come.
  const cards = new Map<string, Drawn>();
  messages.forEach((message, index) => {
    const question = messages.slice(Math.max(0, index - 4), index + 1).map((one) => one.id);
    const told = message.content.some((part) => part.__typename === 'ToolResponse' && answered.has(part.callId));
    const same = [message, question.join(), told];
    const before = drawn.current.get(message.id);
    const isSame = before && same.every((value, nth) => value === before.same[nth]);
    cards.set(message.id, isSame ? before : { same, node: <MessageCard key={message.id} message={message} session={id} answered={answered} aimed={message.id === target} question={question} /> });
  });
  drawn.current = cards;
  return (
    <div class="conversation">
      <Ways head={head} query={query} />
      <div class="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-label="Messages" aria-live="off">
        {shown.before !== null && <button type="button" class="quiet" onClick={() => void earlier()}>Earlier messages</button>}
        {!messages.length && <Empty title="No messages yet"><p>They appear here as they are written: <code>addMessage</code>, an import, or the spans of a model call.</p></Empty>}
        {[...cards.values()].map(({ node }) => node)}
        {shown.upTo && <p class="note"><a href={to(['sessions', id])}>To the end of the session</a></p>}
        <Work running={running} />
      </div>
      {fresh > 0 && <button type="button" class="main fresh" onClick={() => void catchUp()}>{fresh.toLocaleString()} new ↓</button>}
    </div>
  );
}

/** Moves what is seen; what was out of sight has no true height until it was in sight: a few frames bring it to rest. */
function rest(move: () => void, holds: () => boolean = () => true): () => void {
  let left = 8;
  let frame = requestAnimationFrame(function settle() {
    if (holds()) move();
    if (left-- > 0) frame = requestAnimationFrame(settle);
  });
  return () => cancelAnimationFrame(frame);
}

interface Drawn {
  same: unknown[];
  node: VNode;
}

/** What is shown when more has come: for one who is with the latest no more than is kept, else that and no more than is kept. */
function extended({ messages, cut }: Shown, came: readonly MessageShown[], skipped: boolean, follows: boolean): Partial<Shown> {
  if (cut) return {};
  const all = joined(skipped ? [] : messages, came);
  if (!skipped && all.length <= KEPT) return { messages: all };
  return follows ? { messages: all.slice(-KEPT), before: undefined } : { cut: true };
}

function joined(shown: readonly MessageShown[], more: readonly MessageShown[]): MessageShown[] {
  const known = new Set(shown.map(({ id }) => id));
  return [...shown, ...more.filter(({ id }) => !known.has(id))];
}

function Ways({ head, query }: { head: SessionHead; query: URLSearchParams }) {
  const threads = head.threads.nodes;
  const { branches } = head;
  if (threads.length < 2 && branches.length < 2) return null;
  return (
    <div class="bar">
      {threads.length > 1 && (
        <select aria-label="Thread" value={query.get('thread') ?? ''} onChange={(event) => put({ thread: event.currentTarget.value })}>
          <option value="">all threads</option>
          {threads.map(({ id, name }) => <option key={id} value={name}>{name}</option>)}
        </select>
      )}
      {branches.length > 1 && (
        <select aria-label="Branch" value={query.get('branch') ?? ''} onChange={(event) => put({ branch: event.currentTarget.value, message: null })}>
          <option value="">all branches</option>
          {branches.map(({ id, text }) => <option key={id} value={id}>… {text.slice(0, 60)}</option>)}
        </select>
      )}
    </div>
  );
}

type Work = NonNullable<SessionEvent['span']>;

/** What is at work now; messages that a tool's event is about are told. */
function useRunning(head: SessionHead, onTold: (ids: string[]) => void): Work[] {
  const [running, setRunning] = useState<Work[]>([...head.spans.nodes]);
  const told = useRef(new Set<string>());
  useLive(head.id, (signal) =>
    follow(
      SessionEvents,
      { id: head.id, after: head.traceCursor },
      ({ sessionTrace }) => sessionTrace,
      ({ node }) => {
        const { span, message, type } = node;
        if (span) setRunning((now) => [...now.filter(({ id }) => id !== span.id), ...(type === 'span_start' && !span.endedAt ? [span] : [])]);
        if (!message) return;
        if (!told.current.size) {
          setTimeout(() => {
            onTold([...told.current]);
            told.current.clear();
          }, 250);
        }
        told.current.add(message.id);
      },
      signal,
    ), () => undefined);
  return running;
}

function Work({ running }: { running: Work[] }) {
  const now = useClock(running.length > 0);
  if (!running.length) return null;
  return (
    <ul class="work" aria-label="At work">
      {running.slice(-5).map((one) => (
        <li key={one.id}><span class="dot live" /> <Badge of={one.kind} /> <bdi>{one.name}</bdi> <span class="soft figure">{span(Math.max(0, now - Date.parse(one.startedAt)))}</span></li>
      ))}
    </ul>
  );
}
