import { useEffect, useMemo, useState } from 'preact/hooks';
import { Problem } from '../server.ts';

export interface Loaded<Data> {
  data: Data | undefined;
  error: Problem | undefined;
  busy: boolean;
  again: () => void;
}

export const asProblem = (error: unknown): Problem => (error instanceof Problem ? error : new Problem(String(error)));

/** What `read` gives, read anew when the key changes; what was there stays until then. */
export function useLoad<Data>(key: string, read: (signal: AbortSignal) => Promise<Data>): Loaded<Data> {
  const [state, setState] = useState<{ key: string; data?: Data; error?: Problem }>({ key: '' });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    read(stop.signal).then(
      (data) => stop.signal.aborted || setState({ key, data }),
      (error: unknown) => stop.signal.aborted || setState({ key, error: asProblem(error) }),
    );
    return () => stop.abort();
  }, [key, turn]);
  return { data: state.data, error: state.error, busy: state.key !== key, again: () => setTurn((now) => now + 1) };
}

/** Runs while the component is there and the key is the same. */
export function useLive(key: string | undefined, run: (signal: AbortSignal) => Promise<void> | void, onError?: (error: Problem) => void): void {
  useEffect(() => {
    if (key === undefined) return;
    const stop = new AbortController();
    Promise.resolve(run(stop.signal)).catch((error: unknown) => stop.signal.aborted || onError?.(asProblem(error)));
    return () => stop.abort();
  }, [key]);
}

/** A value that stands still for a moment before it is used, such as what somebody types. */
export function useCalm<Value>(value: Value, ms = 250): Value {
  const [calm, setCalm] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setCalm(value), ms);
    return () => clearTimeout(timer);
  }, [value]);
  return calm;
}

/** A number that goes up once a second while somebody is to see time pass. */
export function useClock(runs: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!runs) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [runs]);
  return now;
}

export const useOnce = <Value>(make: () => Value): Value => useMemo(make, []);
