import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
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

export interface Page<Row> {
  nodes: readonly Row[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

export interface Rows<Row> {
  rows: Row[];
  more: () => void;
  hasMore: boolean;
  busy: boolean;
  error: Problem | undefined;
  change: (change: (rows: Row[]) => Row[]) => void;
  again: () => void;
}

/** The rows of a list, page by page as they are asked for. */
export function useRows<Row>(key: string, read: (after: string | null, signal: AbortSignal) => Promise<Page<Row>>): Rows<Row> {
  const [rows, setRows] = useState<Row[]>([]);
  const [state, setState] = useState({ key: '', after: null as string | null, hasMore: true, busy: false, error: undefined as Problem | undefined });
  const [turn, setTurn] = useState(0);
  const loading = useRef<AbortController | undefined>(undefined);
  const load = (after: string | null) => {
    const stop = (loading.current = new AbortController());
    setState((now) => ({ ...now, busy: true, error: undefined }));
    read(after, stop.signal).then(
      ({ nodes, pageInfo }) => {
        if (stop.signal.aborted) return;
        loading.current = undefined;
        setRows((now) => (after === null ? [...nodes] : [...now, ...nodes]));
        setState({ key, after: pageInfo.endCursor, hasMore: pageInfo.hasNextPage, busy: false, error: undefined });
      },
      (error: unknown) => {
        if (stop.signal.aborted) return;
        loading.current = undefined;
        setState((now) => ({ ...now, key, busy: false, hasMore: false, error: asProblem(error) }));
      },
    );
  };
  useEffect(() => {
    load(null);
    return () => loading.current?.abort();
  }, [key, turn]);
  return {
    rows,
    hasMore: state.hasMore,
    busy: state.busy || state.key !== key,
    error: state.error,
    more: () => {
      if (!loading.current && state.hasMore && state.key === key) load(state.after);
    },
    change: setRows,
    again: () => setTurn((now) => now + 1),
  };
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
