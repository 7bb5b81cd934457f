// An alert in words: the measure, its value with its unit, its limit. What the author of a rule wrote stays as written.

import { exact, percent, valuedText } from "./number";

export interface Told {
  condition: string;
  summary: string;
}

/** The limit of a condition such as `latency > 2000`; none when it is more than one comparison. */
export function limitOf(condition: string): { metric: string; limit: number } | null {
  const found = /^\s*([a-z][a-z0-9_]*)\s*(?:>=?|<=?)\s*(-?\d+(?:\.\d+)?)\s*$/.exec(condition);
  return found?.[1] && found[2] ? { metric: found[1], limit: Number(found[2]) } : null;
}

const SHARES = /(?:^|_)(?:error_rate|ratio|share)$/;
/** What a rule without a summary of its own says: "latency is 2101.08". */
const PLAIN = /^([a-z][a-z0-9_]*) is (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/** "Latency is 2.10 s", "limit 2.00 s". `now`: the value that is now; `over`: it has ended. `units`: of metrics, by name. */
export function alertWords(alert: Told, units: Readonly<Record<string, string>>, now = Number.NaN, over = false): { title: string; limit: string } {
  const comparison = limitOf(alert.condition);
  const limit = comparison ? `limit ${measured(comparison.metric, comparison.limit, units)}` : "";
  const plain = PLAIN.exec(alert.summary);
  if (!plain || !comparison || plain[1] !== comparison.metric) return { title: alert.summary, limit };
  const value = Number.isNaN(now) ? Number(plain[2]) : now;
  return { title: `${metricName(comparison.metric)} ${over ? "was" : "is"} ${measured(comparison.metric, value, units)}`, limit };
}

/** A value of a metric with its unit: shares of one as percent, seconds with two decimals. */
export function measured(metric: string, value: number, units: Readonly<Record<string, string>>): string {
  const unit = units[metric] ?? "";
  if (!unit && SHARES.test(metric)) return `${percent(value)}%`;
  if (unit === "ms" && Math.abs(value) >= 1000) return `${exact(value / 1000, 2)} s`;
  return valuedText(value, unit === "tokens" ? "" : unit);
}

/** "error_rate" is "Error rate". */
export function metricName(metric: string): string {
  const words = metric.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
