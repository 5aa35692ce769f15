/** What people say of messages, spans, sessions and memories; a key opens the form for what is pointed at. */
import { signal } from '@preact/signals';
import type { Annotation } from '../documents/annotations.ts';
import type { Key } from './keys.ts';
import { lazy } from './lazy.tsx';

export interface Target {
  id: string;
  /** Its kind, in a word. */
  what: string;
}

export const annotating = signal<Target | undefined>(undefined);

/** What was said, or taken away (null), in this tab since it was read: by target and id. */
export const said = signal<ReadonlyMap<string, ReadonlyMap<string, Annotation | null>>>(new Map());

export function tell(target: string, id: string, annotation: Annotation | null): void {
  said.value = new Map([...said.value, [target, new Map([...(said.value.get(target) ?? []), [id, annotation]])]]);
}

/** The key that annotates a target, or rather the message that is pointed at or has the focus. */
export const annotateKey = (target: Target | undefined): Key => ({
  key: 'a',
  does: 'Annotate',
  run: () => {
    const near = document.activeElement?.closest<HTMLElement>('[data-message]') ?? document.querySelector<HTMLElement>('[data-message]:hover');
    annotating.value = near ? { id: near.dataset['message']!, what: 'message' } : target;
  },
});

const Own = lazy(async () => (await import('./annotate.tsx')).Own);

/** Those of a target as badges, and a button for one more. */
export function Annotations({ of, target }: { of: readonly Annotation[]; target: Target }) {
  const own = said.value.get(target.id);
  const shown = own ? [...of.filter(({ id }) => !own.has(id)), ...[...own.values()].filter((one) => one !== null)] : of;
  return (
    <>
      {shown.map((one) => (
        <span key={one.id} class="badge" title={one.comment ?? ''}>
          <bdi>{one.name}</bdi> <bdi>{[one.value, one.label].filter((part) => part != null).map(String).join(' ')}</bdi>
          {one.comment && !one.label && one.value == null && <bdi>{one.comment.slice(0, 40)}</bdi>}
          {own?.has(one.id) && <Own target={target.id} id={one.id} name={one.name} />}
        </span>
      ))}
      <button type="button" class="quiet" title="Annotate (a)" onClick={() => (annotating.value = target)}>annotate</button>
    </>
  );
}
