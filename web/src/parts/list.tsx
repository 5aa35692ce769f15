import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from '@tanstack/virtual-core';
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef } from 'preact/hooks';

/** A virtualizer over a scroller; it draws anew when what is seen changes. */
export function useVirtual(scroller: RefObject<HTMLDivElement | null>, count: number, height: number) {
  const [, draw] = useReducer((turn: number) => turn + 1, 0);
  const virtual = useMemo(
    () =>
      new Virtualizer<HTMLElement, HTMLElement>({
        count,
        getScrollElement: () => scroller.current,
        estimateSize: () => height,
        overscan: 10,
        scrollToFn: elementScroll,
        observeElementRect,
        observeElementOffset,
        initialRect: { width: 800, height: 900 },
        onChange: () => draw(0),
      }),
    [height],
  );
  virtual.setOptions({ ...virtual.options, count });
  useLayoutEffect(() => virtual._didMount(), [virtual]);
  useLayoutEffect(() => virtual._willUpdate());
  return virtual;
}

interface Props<Row> {
  rows: readonly Row[];
  label: string;
  height: number;
  id: (row: Row) => string;
  address: (row: Row) => string;
  draw: (row: Row) => ComponentChildren;
  selected?: string | undefined;
  hasMore?: boolean;
  onMore?: () => void;
  head?: ComponentChildren;
}

/** Rows that are links, of which only those in sight are in the page. */
export function List<Row>({ rows, label, height, id, address, draw, selected, hasMore, onMore, head }: Props<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtual(scroller, rows.length, height);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (hasMore && last >= rows.length - 20) onMore?.();
  }, [last, rows.length, hasMore]);
  return (
    <div class="list" ref={scroller} data-list tabIndex={-1}>
      {head}
      <div class="all" role="list" aria-label={label} style={{ height: `${virtual.getTotalSize()}px` }}>
        {items.map(({ index, start }) => {
          const row = rows[index];
          if (!row) return null;
          return (
            <div key={id(row)} role="listitem" class="row" aria-setsize={hasMore ? -1 : rows.length} aria-posinset={index + 1}
              style={{ transform: `translateY(${start}px)`, height: `${height}px` }}>
              <a href={address(row)} data-index={index} aria-current={id(row) === selected ? 'true' : undefined}>
                {draw(row)}
              </a>
            </div>
          );
        })}
      </div>
    </div>
  );
}
