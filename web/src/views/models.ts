// What the snapshot says of each model.

import type { MetricStore } from "../data/metrics";

export interface ModelRow {
  model: string;
  /** Requests a minute. */
  rate: number;
  /** 95th percentile, ms. */
  latency: number | null;
  /** Tokens a minute. */
  tokens: number | null;
  /** Share of one. */
  errors: number | null;
}

/** Rows in the order of their rates; the order of before stays while rates are close. */
export function modelRows(metrics: MetricStore): ModelRow[] {
  const rows = new Map<string, ModelRow>();
  for (const { labels, value } of metrics.groups("request_rate")) {
    const model = labels["model"];
    if (model) rows.set(model, { model, rate: (value ?? 0) * 60, latency: null, tokens: null, errors: null });
  }
  fill(metrics, "latency", rows, (row, value) => (row.latency = value));
  fill(metrics, "tokens", rows, (row, value) => (row.tokens = value));
  fill(metrics, "error_rate", rows, (row, value) => (row.errors = value));
  return [...rows.values()].sort((left, right) => Math.round(right.rate) - Math.round(left.rate) || left.model.localeCompare(right.model));
}

function fill(metrics: MetricStore, name: string, rows: Map<string, ModelRow>, put: (row: ModelRow, value: number | null) => void): void {
  for (const { labels, value } of metrics.groups(name)) {
    const row = rows.get(labels["model"] ?? "");
    if (row) put(row, value);
  }
}
