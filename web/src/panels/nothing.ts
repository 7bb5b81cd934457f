// What a panel without data waits for, in words.

import type { PanelData } from "../data/board";

/** What the metrics of the shipped set are made of: the types of events, and what people call them. */
const MADE_OF: readonly (readonly [metrics: RegExp, types: string, words: string])[] = [
  [/^(latency|error_rate|request_rate|tokens|cost_usd)/, "llm.request.*", "requests"],
  [/^(cpu|memory|disk)_percent/, "host.*", "readings"],
];

function madeOf(metric: string): readonly [RegExp, string, string] | undefined {
  return MADE_OF.find(([metrics]) => metrics.test(metric));
}

/** "no requests now", under a figure that has no value; empty for a metric of somebody's own. `requests`: those a second, if known. */
export function lacking(metric: string, requests = 0): string {
  if (/^cost_usd/.test(metric) && requests > 0) return "no known price";
  const found = madeOf(metric);
  return found ? `no ${found[2]} now` : "";
}

const VERBS: Record<string, string> = { metric: "Values come with", windows: "Values come with", count: "Counted are", events: "Shown are" };

/** "Counted are llm.*, agent.*." for a query; empty where it is not known what it waits for. */
function waitsFor(query: string): string {
  const [, kind = "", names = ""] = /^\s*(metric|windows|count|events):([^[\]]+)/.exec(query) ?? [];
  const wanted = names.split(",").map((name) => name.trim());
  const measures = kind === "metric" || kind === "windows";
  const types = [...new Set(measures ? wanted.map((name) => madeOf(name)?.[1] ?? "") : wanted)];
  return types.includes("") ? "" : `${VERBS[kind]} ${types.map((type) => (type === "*" ? "all events" : type)).join(", ")}.`;
}

/** The whole sentence in the place of the data of a query. */
export function nothingYet({ query }: Pick<PanelData, "query">, said = "Nothing in this time."): string {
  return `${said} ${waitsFor(query)}`.trim();
}
