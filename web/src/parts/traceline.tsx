import type { TraceRow } from '../documents.ts';
import { useClock } from './load.ts';
import { Badge, Time, count, dollars, span } from './show.tsx';

/** A trace in two lines, of a list. columns: what is shown of it; else all. */
export function TraceLine({ row, columns }: { row: TraceRow; columns?: ReadonlySet<string> }) {
  const has = (name: string) => !columns || columns.has(name);
  const isRunning = row.runningSpans > 0;
  const now = useClock(isRunning);
  return (
    <>
      <span class="first"><bdi class="title">{row.root?.name ?? row.traceId}</bdi>{has('began') && <Time at={row.startedAt} />}</span>
      <span class="second">
        {has('kind') && row.root && <Badge of={row.root.kind} />}
        {row.statusCode === 'ERROR' && <Badge of="ERROR" />}
        {row.errorSpans > 1 && <span class="soft figure">{row.errorSpans} errors</span>}
        {isRunning && <span class="dot live" title={`${row.runningSpans} running`} />}
        <span class="soft cut"><bdi>{has('session') && row.session?.title}</bdi></span>
        {has('tokens') && row.usage?.totalTokens != null && <span class="soft figure">{count(row.usage.totalTokens)} tokens</span>}
        {has('cost') && row.usage?.costUsd != null && <span class="soft figure">{dollars(row.usage.costUsd)}</span>}
        {has('took') && <span class="soft figure">{row.durationMs == null && !isRunning ? '' : span(row.durationMs ?? Math.max(0, now - Date.parse(row.startedAt)))}</span>}
      </span>
    </>
  );
}
