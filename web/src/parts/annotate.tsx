/** The form in which something is said of a message, span, session or memory. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Annotate as Send, TakeAway } from '../documents/annotations.ts';
import { ask } from '../server.ts';
import { annotating, tell, type Target } from './annotations.tsx';
import { asProblem } from './load.ts';

const NAMES = 'recollect.annotations'; // that this browser used, the latest first
const KEPT = 12;
const SUGGESTED = ['quality', 'correct', 'helpful', 'todo'];

const names = (): string[] => {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(NAMES) ?? '[]');
    return Array.isArray(kept) ? kept.map(String) : [];
  } catch {
    return [];
  }
};

export function Annotate({ target }: { target: Target }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [wrong, setWrong] = useState('');
  const [busy, setBusy] = useState(false);
  const known = names();
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const of = (name: string) => String(given.get(name) ?? '').trim() || null;
    const [name, value] = [of('name')!, of('value')];
    setBusy(true);
    try {
      const { annotate } = await ask(Send, { input: { target: target.id, name, value: value === null ? null : Number(value), label: of('label'), comment: of('comment') } });
      setWrong(annotate.errors[0]?.message ?? '');
      if (annotate.annotation) {
        tell(target.id, annotate.annotation.id, annotate.annotation);
        localStorage.setItem(NAMES, JSON.stringify([name, ...known.filter((one) => one !== name)].slice(0, KEPT)));
        dialog.current?.close();
      }
    } catch (problem) {
      setWrong(asProblem(problem).message);
    }
    setBusy(false);
  };
  return (
    <dialog class="palette annotate" aria-label={`Annotate the ${target.what}`} ref={dialog} onClose={() => (annotating.value = undefined)} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <h2>Annotate the {target.what}</h2>
      <form onSubmit={(event) => void save(event)}>
        <label>What is judged <input type="text" name="name" required list="annotation-names" autocomplete="off" defaultValue={known[0] ?? SUGGESTED[0]!} /></label>
        <datalist id="annotation-names">{[...new Set([...known, ...SUGGESTED])].map((name) => <option key={name} value={name} />)}</datalist>
        <label>Value, a number <input type="number" name="value" step="any" autofocus /></label>
        <label>Label <input type="text" name="label" autocomplete="off" /></label>
        <label class="wide">Comment <textarea name="comment" rows={2} dir="auto" /></label>
        {wrong && <p class="bad wide" role="alert">{wrong}</p>}
        <p class="line wide"><button type="submit" class="main" disabled={busy}>Annotate</button> <button type="button" onClick={() => dialog.current?.close()}>Cancel</button> <span class="soft">The same name again takes its place.</span></p>
      </form>
    </dialog>
  );
}

/** Takes away what was said in this tab. */
export function Own({ target, id, name }: { target: string; id: string; name: string }) {
  const [wrong, setWrong] = useState('');
  const take = async () => {
    try {
      const { deleteAnnotations } = await ask(TakeAway, { id });
      const error = deleteAnnotations.errors[0]?.message;
      error ? setWrong(error) : tell(target, id, null);
    } catch (problem) {
      setWrong(asProblem(problem).message);
    }
  };
  return <button type="button" class="quiet" aria-label={`Take away ${name}`} title={wrong || 'Take it away'} onClick={() => void take()}>{wrong ? '!' : '✕'}</button>;
}
