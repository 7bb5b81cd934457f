// Series of a definition as a heat map: a row each, columns are stretches of time.

import { useMemo } from "preact/hooks";
import type { PanelData } from "../data/board";
import { exact, shortText } from "../format/number";
import { minute } from "../format/time";
import { Heatmap } from "./Heatmap";

const COLUMNS = 48;

/** `nothing`: said when there is none. */
export function HeatSeries({ panel, nothing }: { panel: PanelData; nothing: string }) {
  const { rows, columns } = useMemo(() => grid(panel), [panel]);
  if (!rows.length) return <p class="panel-said">{nothing}</p>;
  return <Heatmap label={panel.title} rows={rows} columns={columns} word={panel.unit || "events"} />;
}

function grid(panel: PanelData) {
  const { series = {}, start = 0, step = 1 } = panel;
  const counted = panel.query.startsWith("count:");
  const length = Math.max(0, ...Object.values(series).map((values) => values.length));
  const width = Math.max(1, Math.ceil(length / COLUMNS));
  const count = Math.ceil(length / width);
  const columns = Array.from({ length: count }, (_, index) => minute(start + index * width * step));
  const rows = Object.entries(series).map(([name, values]) => {
    const cells = Array.from({ length: count }, (_, index) => joined(values.slice(index * width, (index + 1) * width), counted));
    const known = cells.filter((cell) => cell !== null);
    const sum = known.reduce((total, cell) => total + cell, 0);
    return { name, values: cells, right: counted ? exact(sum) : shortText(known.length ? sum / known.length : null) };
  });
  return { rows, columns };
}

/** Counts are summed, measures averaged; nothing known stays nothing. */
function joined(values: readonly (number | null)[], counted: boolean): number | null {
  const known = values.filter((value): value is number => value !== null);
  if (!known.length) return null;
  const sum = known.reduce((total, value) => total + value, 0);
  return counted ? sum : sum / known.length;
}
