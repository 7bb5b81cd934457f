// Curves as tables: time in UTC, one column for each metric.

import type { App } from "../data/app";
import { sample, Sampled } from "../charts/sampling";
import { iso } from "../format/time";
import type { Tabular } from "./TableBehind";

/** "latency_p95 ms": with its unit, where that is the one of the snapshots. */
function unitName(app: App, metric: string, scale: number): string {
  const unit = scale === 1 ? (app.metrics.units[metric] ?? "") : "";
  return `${metric} ${unit === "1" || unit === "tokens" ? "" : unit}`.trim();
}

export function seriesTable(app: App, metrics: readonly string[], scale = 1): () => Tabular {
  return () => {
    const points = new Sampled(metrics.length);
    sample(app, metrics, metrics.map(() => scale), app.moment.start(), app.moment.end(), points);
    return { columns: ["time", ...metrics.map((name) => unitName(app, name, scale))], rows: points.x.map((at, index) => [iso(at), ...points.y.map((column) => column[index] ?? null)]) };
  };
}
