/** A span of each of two runs: their figures, and what their texts say differently. */
import { SpanDetail, type ContentPart, type SpanDetail as Detail } from '../documents.ts';
import { put, to } from '../route.ts';
import { ask } from '../server.ts';
import { Lines } from '../parts/diff.tsx';
import { useLoad } from '../parts/load.ts';
import { Badge, Trouble, count, dollars, span as took } from '../parts/show.tsx';

interface DeltaProps {
  from: number;
  to: number;
  form: (value: number) => string;
  percent?: boolean;
  /** More is neither better nor worse. */
  neutral?: boolean;
}

/** How much more or less, said by its sign and not by colour alone. */
export function Delta({ from, to: until, form, percent, neutral }: DeltaProps) {
  const by = until - from;
  if (!by) return <span class="soft">=</span>;
  const part = percent && from ? ` (${by < 0 ? '−' : '+'}${Math.abs((by / from) * 100).toFixed(0)} %)` : '';
  return <span class={neutral ? '' : by > 0 ? 'worse' : 'better'}>{by < 0 ? '−' : '+'}{form(Math.abs(by))}{part}</span>;
}

export function SpanPair({ one, other }: { one: string | undefined; other: string | undefined }) {
  const { data, error, busy } = useLoad(`${one} ${other}`, async (signal) => {
    const read = async (id: string | undefined) => {
      const node = id === undefined ? null : (await ask(SpanDetail, { id }, signal)).node;
      return node?.__typename === 'Span' ? node : undefined;
    };
    return Promise.all([read(one), read(other)]);
  });
  const [left, right] = data ?? [];
  return (
    <aside class="pane why span-panel" aria-label="Spans">
      <header class="line">
        <h2><bdi>{(left ?? right)?.name ?? 'Span'}</bdi>{left && right && left.name !== right.name && <> → <bdi>{right.name}</bdi></>}</h2>
        <button type="button" class="quiet" onClick={() => put({ span: null })} aria-label="Close">✕</button>
      </header>
      {error && <Trouble error={error} />}
      {busy && !data && <p class="soft">Loading…</p>}
      {data && !left && !right && <p class="soft">They are not there any more.</p>}
      {(left ?? right) && <Shown one={left} other={right} />}
    </aside>
  );
}

const NUMBERS: readonly (readonly [string, (span: Detail) => number | null | undefined, (value: number) => string])[] = [
  ['took', ({ durationMs }) => durationMs, took],
  ['first token', ({ timeToFirstTokenMs }) => timeToFirstTokenMs, took],
  ['tokens in', ({ usage }) => usage?.inputTokens, count],
  ['cached', ({ usage }) => usage?.cachedTokens, count],
  ['tokens out', ({ usage }) => usage?.outputTokens, count],
  ['cost', ({ usage }) => usage?.costUsd, dollars],
];
const WORDS: readonly (readonly [string, (span: Detail) => string | null | undefined])[] = [
  ['model', ({ provider, model }) => [provider, model].filter(Boolean).join(' ')],
  ['ended by', ({ finishReasons }) => finishReasons.join(', ')],
  ['agent', ({ agent }) => agent?.name],
  ['said', ({ statusMessage }) => statusMessage],
];

function Shown({ one, other }: { one: Detail | undefined; other: Detail | undefined }) {
  const value = <Value,>(of: Detail | undefined, read: (span: Detail) => Value) => (of ? read(of) : undefined);
  const numbers = NUMBERS.map(([name, read, form]) => ({ name, form, left: value(one, read), right: value(other, read) })).filter(({ left, right }) => left != null || right != null);
  const words = WORDS.map(([name, read]) => ({ name, left: value(one, read) || '', right: value(other, read) || '' })).filter(({ left, right }) => left || right);
  const texts = TEXTS.map(([name, read]) => ({ name, left: value(one, read) ?? '', right: value(other, read) ?? '' }));
  return (
    <>
      <table class="totals">
        <thead><tr><td /><th scope="col">first</th><th scope="col">second</th><th scope="col">difference</th></tr></thead>
        <tbody>
          <tr><th scope="row">status</th>{[one, other].map((span, index) => <td key={index}>{span ? <a href={to(['traces', span.traceId], { span: span.id })}><Badge of={span.statusCode} /></a> : <span class="soft">not there</span>}</td>)}<td /></tr>
          {numbers.map(({ name, form, left, right }) => (
            <tr key={name}><th scope="row">{name}</th><td>{left == null ? '' : form(left)}</td><td>{right == null ? '' : form(right)}</td><td>{left != null && right != null && <Delta from={left} to={right} form={form} />}</td></tr>
          ))}
          {words.map(({ name, left, right }) => <tr key={name}><th scope="row">{name}</th><td><bdi>{left}</bdi></td><td><bdi>{right}</bdi></td><td class="soft">{left === right ? '=' : ''}</td></tr>)}
        </tbody>
      </table>
      {texts.filter(({ left, right, name }) => left || right || name !== 'Attributes').map(({ name, left, right }) => (
        <section key={name}>
          <h2>{name}</h2>
          {!left && !right ? <p class="soft">Neither tells any.</p> : <Lines before={left} after={right} label={`${name}, line by line`} />}
        </section>
      ))}
    </>
  );
}

const json = (value: unknown): string => (value == null ? '' : typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? ''));

function partText(part: ContentPart): string {
  switch (part.__typename) {
    case 'TextContent':
      return part.text;
    case 'ReasoningContent':
      return `(reasoning)\n${part.text}`;
    case 'ToolCall':
      return `(calls ${part.tool})\n${json(part.arguments)}`;
    case 'ToolResponse':
      return `(${part.isError ? 'error' : 'result'})\n${json(part.result)}`;
    default:
      return `(${part.mediaType ?? 'file'} ${part.blob?.filename ?? part.url ?? ''})`;
  }
}

const said = (messages: Detail['inputMessages']): string => messages.map(({ role, content }) => [`${role}:`, ...content.map(partText)].join('\n')).join('\n\n');

const TEXTS: readonly (readonly [string, (span: Detail) => string])[] = [
  ['Input', ({ inputMessages, toolExecution }) => [said(inputMessages), json(toolExecution?.arguments)].filter(Boolean).join('\n\n')],
  ['Output', ({ outputMessages, toolExecution }) => [said(outputMessages), json(toolExecution?.error ?? toolExecution?.result)].filter(Boolean).join('\n\n')],
  ['Attributes', ({ attributes }) => (Object.keys((attributes as object | null) ?? {}).length ? json(attributes) : '')],
];
