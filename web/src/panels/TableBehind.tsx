// The table behind a chart.

import { significant } from "../format/number";

export interface Tabular {
  columns: readonly string[];
  rows: readonly (readonly (string | number | null)[])[];
}

export function TableBehind({ of }: { of: () => Tabular }) {
  const { columns, rows } = of();
  return (
    <div class="behind">
      <table class="grid">
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(-200).map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (
                <td key={column} class={typeof cell === "number" ? "n" : ""}>
                  {typeof cell === "number" ? significant(cell) : (cell ?? "–")}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
