/** Ways to anything: by its name, by a word in it, or by its id. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { FindAnything, Kind } from '../documents.ts';
import { ask } from '../server.ts';
import { go, to } from '../route.ts';
import { changed, help, keys, palette } from './keys.ts';
import { useCalm, useLoad } from './load.ts';

interface Way {
  address: string;
  kind: string;
  text: string;
}

const PAGES: Way[] = ['Sessions', 'Traces', 'Memories', 'Query', 'Operate'].map((text) => ({ kind: 'page', text, address: to([text.toLowerCase()]) }));
const ID = /^[a-z]{2,4}_[0-9a-f]{32}$/;
const TRACE = /^[0-9a-fA-F]{32}$/;

/** The page of any object. */
export async function addressOf(id: string): Promise<string | undefined> {
  const { node } = await ask(Kind, { id });
  if (!node) return undefined;
  switch (node.__typename) {
    case 'Message':
      return node.session ? to(['sessions', node.session.id], { message: id }) : undefined;
    case 'Participant':
      return node.session ? to(['sessions', node.session.id]) : undefined;
    case 'Span':
      return to(['traces', node.traceId], { span: id });
    case 'Trace':
      return to(['traces', node.traceId]);
    case 'Memory':
      return to(['memories', id]);
    case 'Recall':
      return to(['memories', node.memory.id]);
    case 'User':
    case 'Agent':
      return to(['memories'], { owner: id });
    default:
      return node.__typename.endsWith('Session') ? to(['sessions', id]) : undefined;
  }
}

async function ways(text: string): Promise<Way[]> {
  const own = PAGES.filter((way) => way.text.toLowerCase().includes(text.toLowerCase()));
  if (!text) return own;
  if (TRACE.test(text)) return [{ kind: 'trace', text, address: to(['traces', text.toLowerCase()]) }];
  if (ID.test(text)) {
    const address = await addressOf(text);
    return address ? [{ kind: 'id', text, address }] : [];
  }
  const found = await ask(FindAnything, { text });
  return [
    ...own,
    ...found.sessions.nodes.map(({ id, title }) => ({ kind: 'session', text: title || id, address: to(['sessions', id]) })),
    ...found.searchMessages.edges.map(({ snippet, node }) => ({
      kind: 'message',
      text: `${node.sender.name}: ${snippet.replaceAll('**', '')}`,
      address: node.session ? to(['sessions', node.session.id], { message: node.id }) : '',
    })),
    ...found.memories.nodes.map(({ id, text }) => ({ kind: 'memory', text, address: to(['memories', id]) })),
  ];
}

function useDialog(close: () => void) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    dialog.current?.showModal();
  }, []);
  return { ref: dialog, onClose: close, onClick: (event: MouseEvent) => event.target === dialog.current && dialog.current?.close() };
}

export function Palette() {
  const close = () => (palette.value = false);
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const sought = useCalm(text.trim(), 150);
  const { data = PAGES, busy } = useLoad(sought, () => ways(sought));
  const open = (way: Way | undefined) => {
    if (!way) return;
    close();
    go(way.address);
  };
  useEffect(() => setAt(0), [data]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, data.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key === 'Enter') open(data[at]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog class="palette" aria-label="Go to anything" {...useDialog(close)}>
      <input type="text" role="combobox" aria-expanded="true" aria-controls="ways" aria-activedescendant={data[at] ? `way-${at}` : undefined} autofocus
        aria-label="A name, words, or an id" placeholder="A name, words, or an id" value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKeyDown} />
      <div role="listbox" id="ways" aria-label="Found">
        {data.map((way, index) => (
          <div role="option" id={`way-${index}`} aria-selected={index === at} key={way.address + index} onClick={() => open(way)} onPointerMove={() => setAt(index)}>
            <span class="badge">{way.kind}</span> <bdi>{way.text}</bdi>
          </div>
        ))}
      </div>
      {!data.length && !busy && <p class="soft">Nothing found. Words are looked for in titles, messages and memories.</p>}
    </dialog>
  );
}

export function Help() {
  changed.value;
  const shown = [
    { key: 'Ctrl K', does: 'Go to anything' },
    { key: '/', does: 'Search in this page' },
    { key: 'j  k', does: 'Next, previous' },
    { key: 'Enter', does: 'Open' },
    ...keys(),
    { key: '?', does: 'These keys' },
  ];
  return (
    <dialog class="palette" aria-label="Keys" {...useDialog(() => (help.value = false))}>
      <h2>Keys</h2>
      <dl class="keys">
        {shown.map(({ key, does }) => (
          <div key={key}>
            <dt><kbd>{key}</kbd></dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog"><button type="submit" class="main" autofocus>Close</button></form>
    </dialog>
  );
}
