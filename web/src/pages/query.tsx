/** Ask the server anything: an editor that knows the schema, answers, subscriptions that go on, and links to share. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { place, put } from '../route.ts';
import { post, subscribe } from '../server.ts';
import { asProblem } from '../parts/load.ts';
import { useKeys } from '../parts/keys.ts';
import { Json } from '../parts/json.tsx';
import { Copy, bytes, span } from '../parts/show.tsx';
import { EXAMPLES } from './examples.ts';
import type { Editor } from './editor.ts';

const HISTORY = 'recollect.queries';
const KEPT = 30;
const EVENTS = 500; // of a subscription, that are kept

interface Asked {
  query: string;
  variables: string;
}

const history = (): Asked[] => {
  try {
    return JSON.parse(localStorage.getItem(HISTORY) ?? '[]') as Asked[];
  } catch {
    return [];
  }
};

function keep(asked: Asked): void {
  const before = history().filter(({ query, variables }) => query !== asked.query || variables !== asked.variables);
  localStorage.setItem(HISTORY, JSON.stringify([asked, ...before].slice(0, KEPT)));
}

interface Result {
  answers: unknown[];
  note: string;
  bad: boolean;
}

export default function QueryPage() {
  const { query } = place.value;
  const [first] = useState<Asked>(() => ({ query: query.get('query') ?? history()[0]?.query ?? EXAMPLES[0]!.query, variables: query.get('variables') ?? '' }));
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const [ready, setReady] = useState(false);
  const [headers, setHeaders] = useState('');
  const [result, setResult] = useState<Result>();
  const [running, setRunning] = useState<AbortController>();
  const [docs, setDocs] = useState<{ text: string; parts: { name: string; type: string; of: string }[]; name: string }>();

  useEffect(() => {
    let gone = false;
    void import('./editor.ts').then(({ open }) => {
      if (gone || !host.current) return;
      editor.current = open(host.current, first, () => run.current(), show);
      setReady(true);
    });
    return () => {
      gone = true;
      editor.current?.close();
    };
  }, []);
  useEffect(() => () => running?.abort(), [running]);

  const show = (type: string) => setDocs(editor.current?.describe(type));
  const run = useRef<() => void>(() => undefined);
  run.current = () => {
    const asked = editor.current?.value();
    if (!asked) return;
    running?.abort();
    const stop = new AbortController();
    setRunning(stop);
    keep(asked);
    void answer(asked, headers, editor.current!.isSubscription(), stop.signal, setResult).finally(() => setRunning((now) => (now === stop ? undefined : now)));
  };
  const take = (asked: Asked) => editor.current?.put(asked);
  const share = () => {
    const asked = editor.current?.value();
    if (!asked) return;
    put({ query: asked.query, variables: asked.variables.trim() || null });
    void navigator.clipboard?.writeText(location.href);
  };
  useKeys([{ key: 'r', does: 'Run (Ctrl+Enter in the editor)', run: () => run.current() }]);

  return (
    <div class="query">
      <div class="bar">
        <h1>Query</h1>
        {running ? <button type="button" class="main" onClick={() => running.abort()}>Stop</button> : <button type="button" class="main" disabled={!ready} onClick={() => run.current()} title="Ctrl+Enter">Run</button>}
        <select aria-label="Examples" value="" onChange={(event) => take(EXAMPLES[Number(event.currentTarget.value)]!)}>
          <option value="">examples</option>
          {EXAMPLES.map(({ name }, index) => <option key={name} value={index}>{name}</option>)}
        </select>
        <select aria-label="History" value="" onFocus={() => setHeaders((now) => now)} onChange={(event) => take(history()[Number(event.currentTarget.value)]!)}>
          <option value="">history</option>
          {history().map(({ query }, index) => <option key={index} value={index}>{query.replace(/\s+/g, ' ').slice(0, 70)}</option>)}
        </select>
        <button type="button" onClick={share} title="Puts all of it into the address, and copies that">Share</button>
        <button type="button" aria-pressed={docs !== undefined} onClick={() => (docs ? setDocs(undefined) : show('Query'))}>Docs</button>
        <span class={result?.bad ? 'bad' : 'soft'} role="status">{result?.note ?? ''}</span>
      </div>
      <div class={docs ? 'panes docs' : 'panes'}>
        <section class="pane" aria-label="Query and variables">
          <div ref={host} class="editor">{!ready && <p class="soft wait">Loading the editor…</p>}</div>
          <details class="headers">
            <summary>Headers</summary>
            <textarea aria-label="Headers, as JSON" rows={3} placeholder='{"X-Request-Id": "mine"}' value={headers} onInput={(event) => setHeaders(event.currentTarget.value)} />
          </details>
        </section>
        <section class="pane answer" aria-label="Answer" tabIndex={0}>
          {!result && <p class="soft wait">Ctrl+Enter runs what stands in the editor. The answer comes here; subscriptions go on until you stop them.</p>}
          {result?.answers.map((one, index) => <Json key={result.answers.length - index} value={one} label="answer" levels={index < 5 ? 9 : 0} />)}
        </section>
        {docs && (
          <aside class="pane why" aria-label="Docs">
            <p class="line">{['Query', 'Mutation', 'Subscription'].map((name) => <button key={name} type="button" class="quiet" onClick={() => show(name)}>{name}</button>)}</p>
            <h2>{docs.name} <Copy text={docs.name} what="name" /></h2>
            <p class="soft">{docs.text}</p>
            <dl>
              {docs.parts.map(({ name, type, of }) => (
                <div key={name}>
                  <dt><code>{name}</code>{type && <>: <button type="button" class="quiet" onClick={() => show(type.replace(/[[\]!]/g, ''))}><code>{type}</code></button></>}</dt>
                  <dd class="soft">{of}</dd>
                </div>
              ))}
            </dl>
          </aside>
        )}
      </div>
    </div>
  );
}

async function answer(asked: Asked, headers: string, isSubscription: boolean, signal: AbortSignal, show: (result: Result) => void): Promise<void> {
  let variables: object;
  let more: Record<string, string>;
  try {
    variables = asked.variables.trim() ? (JSON.parse(asked.variables) as object) : {};
    more = headers.trim() ? (JSON.parse(headers) as Record<string, string>) : {};
  } catch (error) {
    return show({ answers: [], note: `Variables and headers are JSON objects: ${String(error)}`, bad: true });
  }
  const begun = performance.now();
  try {
    if (isSubscription) {
      const answers: unknown[] = [];
      show({ answers, note: 'waiting for the first event', bad: false });
      let drawn = false;
      await subscribe(asked.query, variables, (data) => {
        answers.unshift(data);
        answers.length = Math.min(answers.length, EVENTS);
        if (drawn) return;
        drawn = true;
        requestAnimationFrame(() => {
          drawn = false;
          show({ answers: [...answers], note: `${answers.length} events`, bad: false });
        });
      }, signal);
      return;
    }
    const [body, response] = await post({ query: asked.query, variables }, signal, more);
    const length = JSON.stringify(body).length;
    const id = response.headers.get('X-Request-Id') ?? '';
    show({ answers: [body], note: `${response.status} · ${span(performance.now() - begun)} · ${bytes(length)} · request ${id}`, bad: Boolean(body.errors) });
  } catch (error) {
    if (signal.aborted) return;
    if (Array.isArray(error)) show({ answers: [{ errors: error }], note: 'refused', bad: true });
    else show({ answers: [], note: asProblem(error).message, bad: true });
  }
}
