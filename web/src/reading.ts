/** All spans of a trace, as lines of a waterfall. */
import { TraceSpans, type SpanLine } from './documents.ts';
import { ask } from './server.ts';

const PAGE = 1000;

/** From both ends until they meet: a page's cursor comes with the page before, so two readers are all there can be. */
export async function readAll(traceId: string, signal: AbortSignal, onFirst: (lines: SpanLine[]) => void = () => undefined): Promise<SpanLine[]> {
  const seen = new Set<string>();
  let met = false;
  const reader = async (direction: 'ASC' | 'DESC'): Promise<SpanLine[]> => {
    const lines: SpanLine[] = [];
    for (let after: string | null = null; !met; ) {
      const { nodes, pageInfo }: { nodes: readonly SpanLine[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } = (
        await ask(TraceSpans, { traceId, after, first: PAGE, direction }, signal)
      ).spans;
      const fresh = nodes.filter(({ id }) => !seen.has(id));
      for (const { id } of fresh) seen.add(id);
      lines.push(...fresh);
      if (direction === 'ASC' && after === null) onFirst(lines);
      if (fresh.length < nodes.length || !pageInfo.hasNextPage) met = true;
      after = pageInfo.endCursor;
    }
    return lines;
  };
  const front = reader('ASC');
  const short = await Promise.race([front, new Promise<undefined>((resolve) => setTimeout(resolve, 60))]);
  if (short) return short;
  const [first, last] = await Promise.all([front, reader('DESC')]);
  return [...first, ...last.reverse()];
}
