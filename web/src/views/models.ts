// What the snapshot says of each model.

import { useEffect, useState } from "preact/hooks";
import { useApp } from "../frame/context";
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

interface Ranged {
  step_s: number;
  series: { labels: Record<string, string>; values: (number | null)[] }[];
}

const RANGED = ["request_rate", "latency", "tokens", "error_rate"] as const;

/** The same of a past range, over all of it; null while the page is live or the history is not here. */
export function usePastModels(): ModelRow[] | null {
  const app = useApp();
  const [rows, setRows] = useState<ModelRow[] | null>(null);
  const past = app.moment.mode.value === "past" && app.serves("/analytics/range");
  const [end, span] = [app.moment.fixed.value, app.moment.span.value];
  useEffect(() => {
    setRows(null);
    if (!past) return undefined;
    let wanted = true;
    const wait = setTimeout(() => {
      const query = `from=${Math.floor(end - span)}&to=${Math.ceil(end)}&step=${Math.max(60, Math.round(span))}&by=model`;
      Promise.all(RANGED.map((metric) => app.api.get<Ranged>(`/analytics/range?metric=${metric}&${query}`))).then((found) => wanted && setRows(ranged(found, span)), () => undefined);
    }, 250);
    return () => {
      wanted = false;
      clearTimeout(wait);
    };
  }, [past, end, span]);
  return rows;
}

function ranged(found: readonly Ranged[], span: number): ModelRow[] {
  const [rates, latencies, tokens, errors] = found as [Ranged, Ranged, Ranged, Ranged];
  const of = (answer: Ranged, model: string) => answer.series.find(({ labels }) => labels["model"] === model)?.values.filter((value) => value !== null) ?? [];
  const mean = (values: readonly number[]) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
  const rows = rates.series.filter(({ labels }) => labels["model"]).map(({ labels }): ModelRow => {
    const model = labels["model"] as string;
    const counted = of(tokens, model);
    return { model, rate: (mean(of(rates, model)) ?? 0) * 60, latency: mean(of(latencies, model)), tokens: counted.length ? (counted.reduce((sum, value) => sum + value, 0) / Math.max(span, tokens.step_s * counted.length)) * 60 : null, errors: mean(of(errors, model)) };
  });
  return rows.sort((left, right) => right.rate - left.rate || left.model.localeCompare(right.model));
}
