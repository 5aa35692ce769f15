/** Small things that are shown in many places. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Problem } from '../server.ts';
import type { Parts } from '../documents/memories.ts';

const seconds = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const hours = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const days = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const years = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

/** A time in the reader's zone, as short as it is clear. */
export function Time({ at }: { at: string }) {
  const time = new Date(at);
  const now = new Date();
  const form = time.toDateString() === now.toDateString() ? hours : time.getFullYear() === now.getFullYear() ? days : years;
  return <time dateTime={at} title={seconds.format(time)}>{form.format(time)}</time>;
}

export const clock = (at: string): string => hours.format(new Date(at));

/** 1.2 s, 340 ms, 2 min 5 s. */
export function span(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
export const count = (value: number): string => (value < 10_000 ? value.toLocaleString() : compact.format(value));
export const dollars = (value: number): string => `$${value < 0.01 && value > 0 ? value.toPrecision(2) : value.toFixed(2)}`;
/** What a list is narrowed by to what is dear. */
export const COSTS = { '0.001': '$0.001 and more', '0.01': '$0.01 and more', '0.1': '$0.10 and more', '1': '$1 and more' };
export const bytes = (value: number): string => (value < 1024 ? `${value} B` : value < 1_048_576 ? `${(value / 1024).toFixed(0)} KB` : `${(value / 1_048_576).toFixed(1)} MB`);

/** A word of the schema, coloured by what it is. */
export const Badge = ({ of, title }: { of: string; title?: string }) => (
  <span class={`badge ${of}`} title={title}>{of.toLowerCase().replaceAll('_', ' ')}</span>
);

export function Trouble({ error, again }: { error: Problem; again?: () => void }) {
  return (
    <div class="trouble" role="alert">
      <p>{error.message}</p>
      {error.request && <p class="soft">Request <code>{error.request}</code> <Copy text={error.request} what="request id" /></p>}
      {again && <button type="button" onClick={again}>Try again</button>}
    </div>
  );
}

/** What to do where there is nothing. */
export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <h2>{title}</h2>
    {children}
  </div>
);

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  const copy = () =>
    navigator.clipboard?.writeText(text).then(() => {
      setDone(true);
      setTimeout(() => setDone(false), 1200);
    });
  return (
    <button type="button" class="quiet" onClick={copy} title={`Copy ${what}`} aria-label={`Copy ${what}`}>
      {done ? 'copied' : 'copy'}
    </button>
  );
}

const EXPLAINED: Record<string, string> = {
  fusion: 'all signals together',
  similarity: 'how near its meaning is to the question',
  textRank: 'how well its words match',
  importance: 'how important it is',
  decay: 'how fresh it is, from 1 down to 0.1',
  neighbors: 'what the memories just before and after say',
  reply: 'what the question says that it follows or replies to',
  session: 'what the best of its session says',
  people: '1 if the question names its sender or owner',
  links: 'what the best memory linked to it says',
  references: 'what memories say that the same messages drew on',
  time: '1 if it is of a time that the question names',
  entities: 'near 1 if it mentions what the question names; else what others say that mention the same',
};

/** One number from 0 to 1 as a bar. */
export function Score({ of, value, title }: { of: string; value: number; title?: string | undefined }) {
  const part = Math.max(0, Math.min(1, value));
  return (
    <div class="score" title={title}>
      <span class="soft">{of}</span>
      <span class="gauge"><span style={{ transform: `scaleX(${part})` }} /></span>
      <span class="figure">{value.toFixed(2)}</span>
    </div>
  );
}

/** Why a memory was found: the score and its parts. */
export const Scores = ({ score, parts }: { score: number; parts?: Parts | null | undefined }) => (
  <div class="scores">
    <Score of="score" value={score} title="What it was ranked by" />
    {parts &&
      Object.entries(EXPLAINED).map(([name, title]) => {
        const value = parts[name as keyof Parts];
        return value == null ? null : <Score key={name} of={name === 'textRank' ? 'words' : name} value={value} title={title} />;
      })}
  </div>
);
