import { useState } from 'preact/hooks';
import { SpanDetail, type ContentPart, type SpanDetail as Detail } from '../documents.ts';
import { put, to } from '../route.ts';
import { ask } from '../server.ts';
import { Annotations, annotateKey } from '../parts/annotations.tsx';
import { Json } from '../parts/json.tsx';
import { useKeys } from '../parts/keys.ts';
import { useLoad } from '../parts/load.ts';
import { Badge, Copy, Time, Trouble, count, dollars, span as took } from '../parts/show.tsx';
import { Part } from './message.tsx';

export function SpanPanel({ id }: { id: string }) {
  const { data, error, busy } = useLoad(id, async (signal) => (await ask(SpanDetail, { id }, signal)).node);
  return (
    <aside class="pane why span-panel" aria-label="Span">
      <header class="line">
        <h2><bdi>{data?.__typename === 'Span' ? data.name : 'Span'}</bdi></h2>
        <button type="button" class="quiet" onClick={() => put({ span: null })} aria-label="Close">✕</button>
      </header>
      {error && <Trouble error={error} />}
      {busy && !data && <p class="soft">Loading…</p>}
      {!busy && data === null && <p class="soft">It is not there any more.</p>}
      {data?.__typename === 'Span' && <Shown span={data} />}
    </aside>
  );
}

function Shown({ span }: { span: Detail }) {
  const [raw, setRaw] = useState(false);
  useKeys([annotateKey({ id: span.id, what: 'span' })]);
  const { usage } = span;
  const figures: [string, string | null | undefined][] = [
    ['began', new Date(span.startedAt).toLocaleString()],
    ['took', span.durationMs == null ? 'running' : took(span.durationMs)],
    ['model', [span.provider, span.model].filter(Boolean).join(' ')],
    ['tokens in', usage?.inputTokens == null ? null : count(usage.inputTokens) + (usage.cachedTokens ? `, ${count(usage.cachedTokens)} cached` : '')],
    ['tokens out', usage?.outputTokens == null ? null : count(usage.outputTokens) + (usage.reasoningTokens ? `, ${count(usage.reasoningTokens)} thought` : '')],
    ['cost', usage?.costUsd == null ? null : dollars(usage.costUsd)],
    ['first token', span.timeToFirstTokenMs == null ? null : took(span.timeToFirstTokenMs)],
    ['ended by', span.finishReasons.join(', ')],
    ['agent', span.agent?.name],
  ];
  return (
    <>
      <p class="line">
        <Badge of={span.kind} /> {span.statusCode !== 'UNSET' && <Badge of={span.statusCode} />} <Annotations of={span.annotations.nodes} target={{ id: span.id, what: 'span' }} />
        <span class="soft">span</span> <Copy text={span.id} what="span id" />
      </p>
      {span.statusMessage && <p class={span.statusCode === 'ERROR' ? 'trouble' : 'soft'} dir="auto">{span.statusMessage}</p>}
      <dl class="facts">{figures.map(([name, value]) => value && <div key={name}><dt>{name}</dt><dd><bdi>{value}</bdi></dd></div>)}</dl>
      {span.session && <p>in <a href={to(['sessions', span.session.id], span.message ? { message: span.message.id } : {})}><bdi>{span.session.title || 'a session'}</bdi></a> <Time at={span.startedAt} /></p>}
      {span.warnings.map((text) => <p key={text} class="soft">{text}</p>)}
      <div class="tabs" role="tablist" aria-label="How it is shown">
        <button type="button" role="tab" aria-selected={!raw} onClick={() => setRaw(false)}>Chat</button>
        <button type="button" role="tab" aria-selected={raw} onClick={() => setRaw(true)}>Raw</button>
      </div>
      {raw ? <Json value={span.attributes} label="attributes" levels={2} /> : <Chat span={span} />}
    </>
  );
}

function Chat({ span }: { span: Detail }) {
  const { inputMessages, outputMessages, toolExecution } = span;
  if (!inputMessages.length && !outputMessages.length && !toolExecution) {
    const members = Object.keys((span.attributes as object | null) ?? {}).length;
    return members ? <><p class="soft">It tells of no messages; its attributes:</p><Json value={span.attributes} label="attributes" levels={2} /></> : <p class="soft">It tells nothing but its name and times.</p>;
  }
  return (
    <>
      {toolExecution && (
        <>
          <h2>Input</h2>
          <Json value={toolExecution.arguments} label="input" levels={3} />
          <h2>Output</h2>
          {toolExecution.error ? <p class="bad" dir="auto">{toolExecution.error}</p> : <Json value={toolExecution.result} label="output" levels={3} />}
        </>
      )}
      {inputMessages.length > 0 && <h2>Input</h2>}
      {inputMessages.map((one, index) => <Said key={`in ${index}`} role={one.role} content={one.content} />)}
      {outputMessages.length > 0 && <h2>Output</h2>}
      {outputMessages.map((one, index) => <Said key={`out ${index}`} role={one.role} content={one.content} />)}
    </>
  );
}

const SIDE: Record<string, string> = { user: 'USER', assistant: 'AGENT', system: 'SYSTEM', tool: 'TOOL' };

const Said = ({ role, content }: { role: string; content: readonly ContentPart[] }) => (
  <article class={`message ${SIDE[role] ?? ''}`}>
    <p class="line"><span class={`dot ${SIDE[role] ?? ''}`} /> <bdi class="who">{role}</bdi></p>
    {content.map((part, index) => <Part key={index} part={part} />)}
  </article>
);
