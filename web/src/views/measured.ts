// Requests by model or by agent: of the last minute, as the snapshot has them, or of a range that is over.

import { useApp } from "../frame/context";
import type { MetricStore } from "../data/metrics";
import { type Range, usePast, usePastRange } from "./past";

export interface Measured {
  name: string;
  /** Requests a minute. */
  rate: number;
  /** 95th percentile, ms. */
  latency: number | null;
  /** Tokens a minute. */
  tokens: number | null;
  /** Share of one. */
  errors: number | null;
}

type Label = "model" | "agent";

/** Rows in the order of their rates; the order of before stays while rates are close. */
export function measured(metrics: MetricStore, label: Label): Measured[] {
  const rows = new Map<string, Measured>();
  for (const { labels, value } of metrics.groups("request_rate")) {
    const name = labels[label];
    if (name) rows.set(name, { name, rate: Math.round((value ?? 0) * 6000) / 100, latency: null, tokens: null, errors: null });
  }
  for (const [metric, field] of FIELDS) {
    for (const { labels, value } of metrics.groups(metric)) {
      const row = rows.get(labels[label] ?? "");
      if (row) row[field] = value;
    }
  }
  return [...rows.values()].sort((left, right) => Math.round(right.rate) - Math.round(left.rate) || left.name.localeCompare(right.name));
}

const FIELDS = [["latency", "latency"], ["tokens", "tokens"], ["error_rate", "errors"]] as const;
const RANGED = ["request_rate", "latency", "tokens", "error_rate"] as const;

interface Ranged {
  step_s: number;
  series: { labels: Record<string, string>; values: (number | null)[] }[];
}

export interface PastMeasured extends Range {
  state: "loading" | "ready" | "failed" | "absent";
  rows: Measured[];
}

/** The same of a past range as a whole; null while the page is live. */
export function usePastMeasured(label: Label): PastMeasured | null {
  const app = useApp();
  const range = usePastRange();
  const served = app.serves("/analytics/range");
  const found = usePast<Ranged>(range && served ? RANGED.map((metric) => wholeRange(metric, range, label)) : null);
  if (!range) return null;
  if (!served) return { ...range, state: "absent", rows: [] };
  if (!found?.answers) return { ...range, state: found?.state ?? "loading", rows: [] };
  return { ...range, state: "ready", rows: rowsOf(found.answers, label) };
}

/** One value of a metric for all of a range. */
export function wholeRange(metric: string, { from, to }: Range, by = ""): string {
  return `/analytics/range?metric=${metric}&from=${Math.floor(from)}&to=${Math.ceil(to)}&step=all${by && `&by=${by}`}`;
}

function rowsOf(found: readonly Ranged[], label: Label): Measured[] {
  const [rates, latencies, tokens, errors] = found as [Ranged, Ranged, Ranged, Ranged];
  const of = (answer: Ranged, name: string) => answer.series.find(({ labels }) => labels[label] === name)?.values[0] ?? null;
  const rows = rates.series.map(({ labels }) => labels[label] ?? "").filter(Boolean).map((name): Measured => {
    const counted = of(tokens, name);
    return { name, rate: (of(rates, name) ?? 0) * 60, latency: of(latencies, name), tokens: counted === null ? null : (counted / tokens.step_s) * 60, errors: of(errors, name) };
  });
  return rows.sort((left, right) => right.rate - left.rate || left.name.localeCompare(right.name));
}
