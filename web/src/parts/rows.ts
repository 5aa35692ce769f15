/** A list that is read page by page, and kept as the server tells that it has changed. */
import { useEffect, useReducer, useRef } from 'preact/hooks';
import type { Problem } from '../server.ts';
import { asProblem } from './load.ts';

const SOON_MS = 100; // between two changes of what is shown, however many are told
const MOST = 2000; // rows of a list that grows by itself, and changes that wait: beyond, it is read anew

export interface Page<Row> {
  nodes: readonly Row[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

export interface Source<Row extends { id: string }> {
  /** A page; of the first one also where the changes stood when it was read. */
  page: (after: string | null, signal: AbortSignal) => Promise<[Page<Row>, string?]>;
  /** Tells each change after a cursor: a row as it is now, or null where it has left the list. */
  follow?: (after: string, told: (id: string, row: Row | null) => void, signal: AbortSignal) => Promise<void>;
  /** What a change calls a row, where that is not its id. */
  named?: (row: Row) => string;
  /** What the list is sorted by, ties by id; null comes before all else. */
  rank?: (row: Row) => string | number | null;
  ascending?: boolean;
}

export type Held = 'no' | 'scrolled' | 'paused';

export class Rows<Row extends { id: string }> {
  rows: readonly Row[] = [];
  hasMore = true;
  busy = true;
  error: Problem | undefined;
  /** How many rows have come that are not shown yet. */
  waiting = 0;
  private source!: Source<Row>;
  private stop = new AbortController();
  private loading = false;
  private after: string | null = null;
  private edge: Row | undefined;
  private told = new Map<string, Row | null>();
  private overrun = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly draw: () => void,
    private readonly held: () => Held,
  ) {}

  /** Reads it from the start; what was shown stays until that has come. */
  begin(source: Source<Row>): void {
    this.close();
    this.source = source;
    this.stop = new AbortController();
    this.busy = true;
    this.overrun = false;
    this.told.clear();
    this.waiting = 0;
    void this.load(null);
  }

  again = (): void => this.begin(this.source);

  close(): void {
    this.stop.abort();
    clearTimeout(this.timer);
    this.timer = undefined;
    this.loading = false;
  }

  more = (): void => {
    if (!this.loading && this.hasMore && this.after !== null) void this.load(this.after);
  };

  /** Brings in what waits. */
  show = (): void => (this.overrun ? this.again() : this.place());

  private async load(after: string | null): Promise<void> {
    const { signal } = this.stop;
    this.loading = this.busy = true;
    this.error = undefined;
    this.draw();
    try {
      const [{ nodes, pageInfo }, cursor] = await this.source.page(after, signal);
      if (signal.aborted) return;
      const known = new Set(after === null ? [] : this.rows.map(this.name));
      this.rows = after === null ? nodes : [...this.rows, ...nodes.filter((row) => !known.has(this.name(row)))];
      this.edge = nodes.at(-1) ?? this.edge;
      [this.after, this.hasMore] = [pageInfo.endCursor, pageInfo.hasNextPage];
      if (cursor !== undefined) void this.listen(cursor, signal);
    } catch (error) {
      if (signal.aborted) return;
      [this.error, this.hasMore] = [asProblem(error), false];
    }
    this.loading = this.busy = false;
    this.draw();
  }

  private async listen(cursor: string, signal: AbortSignal): Promise<void> {
    try {
      await this.source.follow?.(cursor, (id, row) => this.tell(id, row), signal);
    } catch (error) {
      if (signal.aborted) return;
      const problem = asProblem(error);
      if (problem.code === 'CURSOR_EXPIRED') return this.again(); // the log has forgotten what came next, the list has not
      this.error = problem;
      this.draw();
    }
  }

  private tell(id: string, row: Row | null): void {
    this.told.delete(id); // so that the latest change of all is the last
    if (!this.overrun) this.told.set(id, row);
    this.timer ??= setTimeout(() => this.flush(), SOON_MS);
  }

  private flush(): void {
    this.timer = undefined;
    if (this.loading) {
      this.timer = setTimeout(() => this.flush(), SOON_MS); // a page that was read before a change must not undo it
      return;
    }
    const held = this.held();
    if (held === 'no') return this.rows.length > MOST ? this.again() : this.place();
    if (held === 'scrolled') this.rows = this.rows.map((row) => this.told.get(this.name(row)) ?? row);
    const shown = new Set(this.rows.map(this.name));
    this.waiting = [...this.told].filter(([id, row]) => row && !shown.has(id)).length;
    if (this.told.size > MOST) {
      this.overrun = true;
      this.told.clear();
    }
    this.draw();
  }

  private place(): void {
    const rows = this.rows.filter((row) => !this.told.has(this.name(row)));
    for (const row of this.told.values()) {
      if (!row) continue;
      const at = rows.findIndex((other) => this.isBefore(row, other));
      if (at >= 0) rows.splice(at, 0, row);
      else if (!this.hasMore || !this.edge || this.isBefore(row, this.edge)) rows.push(row); // else its page has it
    }
    this.rows = rows;
    this.told.clear();
    this.waiting = 0;
    this.draw();
  }

  private name = (row: Row): string => this.source.named?.(row) ?? row.id;

  private isBefore(one: Row, other: Row): boolean {
    const { rank = () => null, ascending } = this.source;
    const [a, b] = [rank(one), rank(other)];
    const less = a === b ? one.id < other.id : a === null ? true : b === null ? false : a < b;
    return less === Boolean(ascending);
  }
}

/** The rows of a list; another key is another list. */
export function useRows<Row extends { id: string }>(key: string, source: Source<Row>, held: () => Held = () => 'no'): Rows<Row> {
  const [, draw] = useReducer((turn: number) => turn + 1, 0);
  const isHeld = useRef(held);
  isHeld.current = held;
  const kept = useRef<Rows<Row> | undefined>(undefined);
  const rows = (kept.current ??= new Rows<Row>(() => draw(0), () => isHeld.current()));
  useEffect(() => {
    rows.begin(source);
    return () => rows.close();
  }, [key]);
  return rows;
}
