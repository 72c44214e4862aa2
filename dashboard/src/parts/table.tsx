/** A table whose rows are drawn as they come into view. The row is the target; one link is inside it. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef, type ReactNode } from "react";

export interface Column<T> {
  key: string;
  head: ReactNode;
  /** In pixels; none: it takes what is left. */
  width?: number;
  num?: boolean;
  /** Left out on screens narrower than this. */
  from?: number;
  cell: (row: T) => ReactNode;
}

export interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  rowHeight?: number;
  selected?: string;
  onOpen?: (row: T) => void;
  marked?: ReadonlySet<string>;
  isDim?: boolean;
  foot?: ReactNode;
  /** How many rows are before the first of `rows`, and not loaded. */
  before?: number;
  /** The end of the rows is near; their beginning is, or lies so many rows further down than what is shown. */
  onEnd?: () => void;
  onStart?: (missing: number) => void;
}

/** Below this, rows are all drawn: printing and finding in the page work. Of a list that goes on they would not be all. */
const PLAIN = 120;
const PLAIN_OF_MORE = 40;
/** Rows that are drawn above and below those in view. */
const BEYOND = 6;
/** So many rows before the first loaded one is needed, those before it are asked for. */
const MARGIN = 24;

export function Table<T>(props: TableProps<T>) {
  const { columns, rows, rowKey, selected, onOpen, onEnd, onStart, before = 0 } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const height = props.rowHeight ?? 32;
  const isPlain = before + rows.length <= (onEnd ? PLAIN_OF_MORE : PLAIN);
  const virtual = useVirtualizer({
    count: before + rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: BEYOND,
    enabled: !isPlain,
  });
  const shown = isPlain ? rows.map((_, index) => index) : virtual.getVirtualItems().map((each) => each.index);
  const items = shown.filter((index) => index >= before);
  const first = items[0] ?? before;
  const last = items.at(-1) ?? before - 1;
  const missing = before ? before - (shown[0] ?? 0) : 0;
  const place = selected === undefined ? -1 : rows.findIndex((row) => rowKey(row) === selected);

  useEffect(() => {
    if (place < 0) return;
    if (!isPlain) virtual.scrollToIndex(before + place, { align: "auto" });
    else scroller.current?.querySelector('[aria-selected="true"]')?.scrollIntoView?.({ block: "nearest" });
    // The virtualizer is one object for the life of the table.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [place, isPlain]);

  useEffect(() => {
    if (missing > -MARGIN && before) onStart?.(Math.max(0, missing));
    // Asked once for each distance, whichever function stands for it.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [missing > -MARGIN, before, Math.max(0, missing)]);

  return (
    <div
      className="scroll grow table"
      ref={scroller}
      tabIndex={0}
      role="region"
      aria-label={props.label}
      onScroll={(event) => {
        const box = event.currentTarget;
        if (onEnd && box.scrollHeight - box.scrollTop - box.clientHeight < 400) onEnd();
      }}
    >
      <table className={`tbl tbl--bleed tbl--head ${props.isDim ? "is-dim" : ""}`} aria-rowcount={before + rows.length + 1}>
        <colgroup>
          {columns.map((column) => (
            <col key={column.key} className={from(column)} style={column.width ? { width: column.width } : undefined} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th key={column.key} scope="col" className={classes(column)}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {!isPlain && first > 0 && <Spacer height={first * height} span={columns.length} />}
          {items.map((index) => {
            const each = rows[index - before]!;
            const key = rowKey(each);
            const isSelected = key === selected || (props.marked?.has(key) ?? false);
            return <Row key={key} row={each} index={index} columns={columns as readonly Column<unknown>[]} height={height} isSelected={isSelected} onOpen={onOpen as RowProps["onOpen"]} />;
          })}
          {!isPlain && last < before + rows.length - 1 && <Spacer height={(before + rows.length - 1 - last) * height} span={columns.length} />}
        </tbody>
      </table>
      {props.foot}
    </div>
  );
}

interface RowProps {
  row: unknown;
  index: number;
  columns: readonly Column<unknown>[];
  height: number;
  isSelected: boolean;
  onOpen?: (row: unknown) => void;
}

/** While a list is scrolled, only the rows that come into view are drawn. */
const Row = memo(function Row({ row, index, columns, height, isSelected, onOpen }: RowProps) {
  return (
    <tr
      aria-rowindex={index + 2}
      aria-selected={isSelected || undefined}
      className={onOpen ? "is-target" : undefined}
      style={{ height }}
      onClick={(event) => {
        const inner = (event.target as Element).closest("a, button, input, label");
        if (!inner && !window.getSelection()?.toString()) onOpen?.(row);
      }}
    >
      {columns.map((column) => (
        <td key={column.key} className={classes(column)}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
});

function Spacer({ height, span }: { height: number; span: number }) {
  return (
    <tr aria-hidden="true" className="spacer">
      <td colSpan={span} style={{ height }} />
    </tr>
  );
}

function from<T>(column: Column<T>): string {
  return column.from ? `from-${column.from}` : "";
}

function classes<T>(column: Column<T>): string {
  return `${column.num ? "num" : ""} ${from(column)}`.trim();
}
