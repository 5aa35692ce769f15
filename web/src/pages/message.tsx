import { useState } from 'preact/hooks';
import type { ContentPart, MessageShown } from '../documents.ts';
import { put, to } from '../route.ts';
import { at } from '../server.ts';
import { Annotations } from '../parts/annotations.tsx';
import { Json } from '../parts/json.tsx';
import { Markdown } from '../parts/markdown.tsx';
import { Badge, Copy, Time, bytes, span } from '../parts/show.tsx';

interface Props {
  message: MessageShown;
  session: string;
  answered: ReadonlySet<string>;
  aimed: boolean;
  question: readonly string[];
}

/** answered: calls whose results are shown beside them. question: this message and those just before it. */
export function MessageCard({ message, session, answered, aimed, question }: Props) {
  const { id, sender, content } = message;
  const shown = content.filter((part) => !(part.__typename === 'ToolResponse' && answered.has(part.callId)));
  const type = sender.type;
  if (content.length && !shown.length) return <p id={id} class="note soft"><bdi>{sender.name}</bdi> answered; the result is shown at its call.</p>;
  const uses = message.memoryRefs.length;
  const why = () => put({ why: id, question: question.join(' ') });
  return (
    <article id={id} data-message={id} class={`message ${type}${aimed ? ' aimed' : ''}${message.onCurrentBranch ? '' : ' aside'}`} aria-label={`${sender.name}`}>
      <header class="line">
        <span class={`dot ${type}`} />
        <bdi class="who">{sender.name}</bdi>
        <Time at={message.createdAt} />
        {message.thread && <span class="badge">{message.thread.name}</span>}
        {message.editedAt && <span class="soft">edited</span>}
        {!message.onCurrentBranch && <span class="soft">not on the current branch</span>}
        <Annotations of={message.annotations.nodes} target={{ id, what: 'message' }} />
        <span class="tools">
          <button type="button" class="quiet" onClick={why}>{uses ? `${uses} ${uses === 1 ? 'memory' : 'memories'}` : 'why'}</button>
          <a class="quiet" href={to(['sessions', session], { message: id })} aria-label="Link to this message">#</a>
          <Copy text={id} what="message id" />
        </span>
      </header>
      {message.isRedacted && <p class="soft">Its content was removed for good.</p>}
      {shown.map((part, index) => <Part key={index} part={part} />)}
      {message.formedMemories.length > 0 && (
        <p class="line formed">
          <span class="soft">remembered</span>
          {message.formedMemories.map((memory) => <a key={memory.id} class="chip" href={to(['memories', memory.id])}><bdi>{memory.text}</bdi></a>)}
        </p>
      )}
      {message.warnings.map((text) => <p key={text} class="bad">{text}</p>)}
    </article>
  );
}

export function Part({ part }: { part: ContentPart }) {
  switch (part.__typename) {
    case 'TextContent':
      return <Markdown text={part.text} />;
    case 'ReasoningContent':
      return (
        <details class="reasoning">
          <summary>Reasoning <span class="soft">{part.text.length.toLocaleString()} characters</span></summary>
          <Markdown text={part.text} />
        </details>
      );
    case 'ToolCall':
      return <Call call={part} />;
    case 'ToolResponse':
      return (
        <details class="call">
          <summary><Badge of={part.isError ? 'ERROR' : 'OK'} /> result of <code>{part.callId}</code></summary>
          <Json value={part.result} label="result" />
        </details>
      );
    default:
      return <Shown media={part} />;
  }
}

type ToolCall = Extract<ContentPart, { __typename: 'ToolCall' }>;

function Call({ call }: { call: ToolCall }) {
  const { execution, response } = call;
  const state = response?.isError ? 'ERROR' : response ? 'OK' : (execution?.status ?? 'PENDING');
  return (
    <details class={`call ${state}`}>
      <summary>
        <span class="sign" aria-hidden="true">⚙</span> <code>{call.tool}</code> <Badge of={state} />
        {execution?.durationMs != null && <span class="soft figure">{span(execution.durationMs)}</span>}
        <span class="soft cut">{brief(call.arguments)}</span>
      </summary>
      <p class="soft">arguments</p>
      <Json value={call.arguments} label="arguments" />
      {response && <><p class="soft">result</p><Json value={response.result} label="result" /></>}
      {!response && <p class="soft">{state === 'PENDING' ? 'It has not answered yet.' : (execution?.error ?? '')}</p>}
    </details>
  );
}

const brief = (value: unknown): string => {
  const text = JSON.stringify(value) ?? '';
  return text === '{}' || text === 'null' ? '' : text.slice(0, 160);
};

type Media = Exclude<ContentPart, { __typename: 'TextContent' | 'ReasoningContent' | 'ToolCall' | 'ToolResponse' }>;

/** Files of this server are shown; of other hosts only where they are. */
function Shown({ media }: { media: Media }) {
  const { blob, caption } = media;
  const [failed, setFailed] = useState(false);
  if (!blob) return <p class="soft">{media.mediaType ?? 'a file'}{media.url && <> at <code>{media.url}</code></>} {caption}</p>;
  const from = at(blob.signedUrl);
  const name = caption ?? blob.filename;
  return (
    <figure>
      {media.__typename === 'ImageContent' && !failed && <img src={from} alt={name} loading="lazy" width={media.width ?? undefined} height={media.height ?? undefined} onError={() => setFailed(true)} />}
      {media.__typename === 'AudioContent' && <audio src={from} controls preload="none" />}
      {media.__typename === 'VideoContent' && <video src={from} controls preload="none" />}
      <figcaption><a href={from} data-plain download={blob.filename}><bdi>{name}</bdi></a> <span class="soft">{blob.mediaType} · {bytes(blob.sizeBytes)}</span></figcaption>
      {'transcript' in media && media.transcript && <details><summary>Transcript</summary><Markdown text={media.transcript} /></details>}
    </figure>
  );
}
