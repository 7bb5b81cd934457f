// An alert in words: the measure, its value with its unit, its limit. What the author of a rule wrote stays as written,
// but for shares of one that are filled into it: those are percent everywhere else.

import { exact, percent, valuedText } from "./number";

/** Units of metrics, by name. */
export type Units = Readonly<Record<string, string>>;

export interface Told {
  condition: string;
  summary: string;
  /** Of the metrics in the condition, as the summary was made. */
  values?: Readonly<Record<string, number | null>>;
}

/** The limit of a condition such as `latency > 2000`; none when it is more than one comparison. */
export function limitOf(condition: string): { metric: string; limit: number } | null {
  const found = /^\s*([a-z][a-z0-9_]*)\s*(?:>=?|<=?)\s*(-?\d+(?:\.\d+)?)\s*$/.exec(condition);
  return found?.[1] && found[2] ? { metric: found[1], limit: Number(found[2]) } : null;
}

const SHARES = /(?:^|_)(?:error_rate|ratio|share)(?:_\d+[smhd])?$/;
/** What a rule without a summary of its own says: "latency is 2101.08", "error_rate is 0.28 for agent=critic". */
const PLAIN = /^([a-z][a-z0-9_]*) is (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: for ((?:[a-z_]+=.+ ?)+))?$/;

/** "Latency is 2.10 s", "limit 2.00 s". `now`: the value that is now; `over`: it has ended. `units`: of metrics, by name. */
export function alertWords(alert: Told, units: Units, now = Number.NaN, over = false): { title: string; limit: string } {
  const comparison = limitOf(alert.condition);
  const limit = comparison ? `limit ${limitWords(comparison.metric, comparison.limit, units)}` : "";
  const plain = PLAIN.exec(alert.summary);
  if (!plain || !comparison || plain[1] !== comparison.metric) return { title: withShares(alert), limit };
  const value = Number.isNaN(now) ? Number(plain[2]) : now;
  const whose = plain[3] ? ` for ${plain[3].replaceAll(/[a-z_]+=/g, "")}` : "";
  return { title: `${metricName(comparison.metric)} ${over ? "was" : "is"} ${measured(comparison.metric, value, units)}${whose}`, limit };
}

/** The summary with percent in the place of each share that was filled in, unless its author made percent of it. */
function withShares({ summary, condition, values = {} }: Told): string {
  const metric = limitOf(condition)?.metric ?? "";
  // Lists of events leave values out: then a lone decimal below one is the share that the condition is about.
  if (!Object.keys(values).length && SHARES.test(metric)) return summary.replace(/(?<![\d.])0\.\d+(?!\d*\.?\d|\s*%)/, (share) => `${percent(Number(share))}%`);
  return Object.entries(values).reduce((words, [metric, value]) => {
    if (value === null || !SHARES.test(metric)) return words;
    // As the rules write it: six significant digits.
    const written = String(Number(value.toPrecision(6))).replace(".", "\\.");
    return words.replace(new RegExp(`(?<![\\d.])${written}(?![\\d.]\\d|\\d|\\s*%)`, "g"), `${percent(value)}%`);
  }, summary);
}

/** A value of a metric with its unit: shares of one as percent, seconds with two decimals. */
export function measured(metric: string, value: number, units: Units): string {
  const unit = units[metric] ?? "";
  if (!unit && SHARES.test(metric)) return valuedText(value * 100, "%");
  if (unit === "ms" && Math.abs(value) >= 1000) return `${exact(value / 1000, 2)} s`;
  return valuedText(value, unit === "tokens" ? "" : unit);
}

/** A limit is as it was written: 20%, not 20.0%. */
function limitWords(metric: string, limit: number, units: Units): string {
  return !units[metric] && SHARES.test(metric) ? `${percent(limit)}%` : measured(metric, limit, units);
}

/** "error_rate" is "Error rate". */
export function metricName(metric: string): string {
  const words = metric.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
