/** The messages of a session, the latest first in sight; while it goes on they come in, with what is at work. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Messages, MessagesById, NewMessages, SessionEvents, type MessageShown, type SessionEvent, type SessionHead } from '../documents.ts';
import { put, to } from '../route.ts';
import { ask, follow, type Problem } from '../server.ts';
import { asProblem, useClock, useLive } from '../parts/load.ts';
import { Badge, Empty, Trouble, span } from '../parts/show.tsx';
import { MessageCard } from './message.tsx';

const PAGE = 40;
const LONG_PAGE = 200;
const FAR = 2000; // messages that are read to reach one
const KEPT = 2000; // messages the tab keeps while it follows; earlier ones are read again

interface Shown {
  messages: MessageShown[];
  before: string | null;
  /** The message at which they end, where that is not the latest. */
  upTo: string | null;
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
  const filter = thread ? { thread } : null;

  const page = async (way: { last: number; before?: string }, branch: string | null): Promise<Shown> => {
    const { session } = await ask(Messages, { id, branch, filter, ...way });
    if (!session) throw asProblem('The session is gone.');
    const { nodes, pageInfo } = session.messages;
    return { messages: [...nodes], before: pageInfo.hasPreviousPage ? pageInfo.startCursor : null, upTo: null };
  };
  /** The end of the session, as far back as the message that the address names; where that is too far, what is up to it. */
  const begin = async (): Promise<Shown> => {
    let shown = await page({ last: PAGE }, query.get('branch'));
    while (target && shown.before && shown.messages.length < FAR && !shown.messages.some((one) => one.id === target)) {
      const earlier = await page({ last: LONG_PAGE, before: shown.before }, query.get('branch'));
      shown = { ...earlier, messages: joined(earlier.messages, shown.messages) };
    }
    if (!target || shown.messages.some((one) => one.id === target)) return shown;
    return { ...(await page({ last: PAGE }, target)), upTo: target };
  };
  const failed = (problem: unknown) => setError(asProblem(problem));

  useEffect(() => {
    begin().then(setShown).catch(failed);
  }, []);

  const isAtEnd = () => {
    const box = scroller.current;
    return !box || box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  };
  const toEnd = () => {
    scroller.current?.scrollTo(0, scroller.current.scrollHeight);
    setFresh(0);
  };

  const earlier = async () => {
    if (loading.current || !shown?.before) return;
    loading.current = true;
    const box = scroller.current!;
    const height = box.scrollHeight - box.scrollTop;
    try {
      const more = await page({ last: PAGE, before: shown.before }, shown.upTo ?? query.get('branch'));
      setShown({ ...shown, messages: joined(more.messages, shown.messages), before: more.before });
      requestAnimationFrame(() => box.scrollTo(0, box.scrollHeight - height));
    } catch (problem) {
      failed(problem);
    }
    loading.current = false;
  };

  const running = useRunning(head, (ids) => {
    ask(MessagesById, { ids })
      .then(({ nodes }) => {
        const now = new Map(nodes.flatMap((node) => (node?.__typename === 'Message' ? [[node.id, node] as const] : [])));
        setShown((shown) => shown && { ...shown, messages: shown.messages.map((one) => now.get(one.id) ?? one) });
      })
      .catch(() => undefined);
  });

  useLive(shown && !shown.upTo && !query.get('branch') ? id : undefined, (signal) =>
    follow(
      NewMessages,
      { id, after: head.messageCursor },
      ({ sessionMessages }) => sessionMessages,
      ({ node }) => {
        if (thread && node.thread?.name !== thread) return;
        const follows = isAtEnd();
        setShown((shown) => shown && { ...shown, messages: joined(shown.messages, [node]).slice(-KEPT) });
        if (follows) requestAnimationFrame(toEnd);
        else setFresh((now) => now + 1);
      },
      signal,
    ), failed);

  useLayoutEffect(() => {
    if (!shown) return;
    const aim = target && document.getElementById(target);
    // What is out of sight has no true height until it was in sight: a few frames bring it to rest.
    let left = 8;
    let frame = requestAnimationFrame(function settle() {
      if (aim) aim.scrollIntoView({ block: 'center' });
      else toEnd();
      if (left-- > 0) frame = requestAnimationFrame(settle);
    });
    return () => cancelAnimationFrame(frame);
  }, [shown !== undefined]);

  const onScroll = () => {
    const box = scroller.current!;
    if (box.scrollTop < 200) void earlier();
    if (isAtEnd()) setFresh(0);
  };

  if (error) return <Trouble error={error} again={() => location.reload()} />;
  if (!shown) return <p class="soft wait">Loading…</p>;
  const answered = new Set(shown.messages.flatMap(({ content }) => content.flatMap((part) => (part.__typename === 'ToolCall' && part.response ? [part.callId] : []))));
  const earlierIds = shown.messages.map((one) => one.id);
  return (
    <div class="conversation">
      <Ways head={head} query={query} />
      <div class="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-label="Messages" aria-live="off">
        {shown.before && <button type="button" class="quiet" onClick={() => void earlier()}>Earlier messages</button>}
        {!shown.messages.length && <Empty title="No messages yet"><p>They appear here as they are written: <code>addMessage</code>, an import, or the spans of a model call.</p></Empty>}
        {shown.messages.map((message, index) => (
          <MessageCard key={message.id} message={message} session={id} answered={answered} aimed={message.id === target} question={earlierIds.slice(Math.max(0, index - 4), index + 1)} />
        ))}
        {shown.upTo && <p class="note"><a href={to(['sessions', id])}>To the end of the session</a></p>}
        <Work running={running} />
      </div>
      {fresh > 0 && <button type="button" class="main fresh" onClick={toEnd}>{fresh} new ↓</button>}
    </div>
  );
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
            onTold([...told.current].slice(-50));
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
