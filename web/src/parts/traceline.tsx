import type { TraceRow } from '../documents.ts';
import { useClock } from './load.ts';
import { Badge, Time, count, dollars, span } from './show.tsx';

/** A trace in two lines, of a list. */
export function TraceLine({ row }: { row: TraceRow }) {
  const isRunning = row.runningSpans > 0;
  const now = useClock(isRunning);
  return (
    <>
      <span class="first"><bdi class="title">{row.root?.name ?? row.traceId}</bdi><Time at={row.startedAt} /></span>
      <span class="second">
        {row.root && <Badge of={row.root.kind} />}
        {row.statusCode === 'ERROR' && <Badge of="ERROR" />}
        {isRunning && <span class="dot live" title={`${row.runningSpans} running`} />}
        <span class="soft cut"><bdi>{row.session?.title ?? ''}</bdi></span>
        {row.usage?.totalTokens != null && <span class="soft figure">{count(row.usage.totalTokens)} tokens</span>}
        {row.usage?.costUsd != null && <span class="soft figure">{dollars(row.usage.costUsd)}</span>}
        <span class="soft figure">{row.durationMs == null && !isRunning ? '' : span(row.durationMs ?? Math.max(0, now - Date.parse(row.startedAt)))}</span>
      </span>
    </>
  );
}
