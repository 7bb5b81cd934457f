// The table behind a chart: the newest first, in the viewer's zone; what leaves the page (CSV) is in UTC, oldest first.

import { significant } from "../format/number";
import { full, parsed, stamp } from "../format/time";

type Cell = string | number | null;

export interface Tabular {
  columns: readonly string[];
  rows: readonly (readonly Cell[])[];
}

/** Rows that are shown; all of them are in the CSV. */
const SHOWN = 200;

export function TableBehind({ of }: { of: () => Tabular }) {
  const { columns, rows } = of();
  const timed = columns[0] === "time";
  const shown = shownRows(rows, timed);
  const numbers = columns.map((_, column) => shown.some((row) => typeof row[column] === "number"));
  if (!shown.length) return <p class="panel-said">No values in this range.</p>;
  return (
    <table class="grid behind">
      <thead>
        <tr>
          {columns.map((name, column) => (
            <th key={name} scope="col" class={numbers[column] ? "n" : ""}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {shown.map((row, index) => (
          <tr key={index}>
            {row.map((cell, column) => (
              <td key={column} class={numbers[column] ? "n" : "first num"}>
                {timed && column === 0 ? <Time text={String(cell)} /> : typeof cell === "number" ? significant(cell) : (cell ?? "–")}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Time({ text }: { text: string }) {
  const at = parsed(text);
  return <span title={full(at)}>{stamp(at).replace(/[.,]000/, "")}</span>;
}

/** Of a curve the newest first, without the steps of which nothing is known. */
export function shownRows(rows: readonly (readonly Cell[])[], timed: boolean): readonly (readonly Cell[])[] {
  if (!timed) return rows.slice(0, SHOWN);
  return rows.filter((row) => row.slice(1).some((cell) => cell !== null)).slice(-SHOWN).reverse();
}
