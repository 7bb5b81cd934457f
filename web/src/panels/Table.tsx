// Rows and columns: numbers right, names left, hairlines between rows; a bad cell has a colour, never the row.

import type { ComponentChildren } from "preact";

export interface Column<Row> {
  name: string;
  /** What stands in the cell. */
  cell: (row: Row) => ComponentChildren;
  number?: boolean;
  /** "strong", "first", "warn" … */
  class?: (row: Row) => string;
  /** A name that somebody else made: cut where there is no room for it, and said whole under the pointer; the function says it where the cell is more than a text. */
  long?: boolean | ((row: Row) => string);
  /** Left out on narrow screens, and in panels that are as narrow. */
  wide?: boolean;
  /** Left out in panels that are not so wide (px). */
  from?: 440 | 520 | 600;
}

interface Props<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  id: (row: Row) => string;
  airy?: boolean;
  selected?: string | null;
  pick?: (row: Row) => void;
  /** Said when there are no rows. */
  nothing?: string;
  /** What stands below a row, over its whole width. */
  below?: (row: Row) => ComponentChildren;
}

export function Table<Row>({ label, columns, rows, id, airy, selected, pick, nothing = "Nothing yet.", below }: Props<Row>) {
  if (!rows.length) return <p class="panel-said">{nothing}</p>;
  return (
    <table class={`grid ${airy ? "airy" : ""}`} aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.name} scope="col" class={classes(column)}>
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => [
          <tr key={id(row)} class={pick ? "pick" : ""} aria-current={pick && selected === id(row) ? "true" : undefined} tabIndex={pick ? 0 : undefined} data-row={id(row)}
            onClick={pick && (() => pick(row))} onKeyDown={pick && ((event) => event.key === "Enter" && pick(row))}>
            {columns.map((column, index) => (
              <td key={column.name} class={`${classes(column)} ${index === 0 ? "first" : ""} ${column.class?.(row) ?? ""}`} title={whole(column, row)}>
                {column.cell(row)}
              </td>
            ))}
          </tr>,
          below?.(row) ? (
            <tr key={`${id(row)} below`} class="below">
              <td colSpan={columns.length}>{below(row)}</td>
            </tr>
          ) : null,
        ])}
      </tbody>
    </table>
  );
}

/** What a cut cell says under the pointer. */
function whole<Row>({ long, cell }: Column<Row>, row: Row): string | undefined {
  return typeof long === "function" ? long(row) : long ? String(cell(row)) : undefined;
}

function classes<Row>(column: Column<Row>): string {
  return `${column.number ? "n" : ""} ${column.wide ? "wide" : ""} ${column.long ? "long" : ""} ${column.from ? `from-${column.from}` : ""}`;
}
