// What tables of requests have in common, so that a rate, a latency or a share looks the same in each of them.

import { exact, NONE, shortText, timeUnit } from "../format/number";
import type { Column } from "../panels/Table";
import type { Tabular } from "../panels/TableBehind";
import type { Measured, PastMeasured } from "./measured";

/** Milliseconds from which a p95 is slow, and the share of one from which many fail. */
const SLOW_MS = 2000;
const MANY = 0.05;

/** Name, rate, p95, tokens and failures of each model or agent. `strong`: the rate is what the table is about. */
export function measuredColumns(name: string, rows: readonly Measured[], strong = false): Column<Measured>[] {
  return [
    { name, long: true, cell: (row) => row.name },
    { ...RATE, ...(strong ? { class: () => "strong" } : {}) },
    ...latencyColumns<Measured>([["p95", (row) => row.latency]], rows),
    TOKENS,
    errorColumn((row) => row.errors),
  ];
}

export const RATE: Column<Measured> = { name: "req/min", number: true, cell: (row) => exact(row.rate, 1) };
export const TOKENS: Column<Measured> = { name: "tokens/min", number: true, wide: true, cell: (row) => (row.tokens === null ? NONE : shortText(Math.round(row.tokens))) };

/** The name of a column of latencies, where its milliseconds are, and whether a narrow screen leaves it out. */
type Read<Row> = readonly [name: string, read: (row: Row) => number | null | undefined, wide?: boolean];

/** Columns of latencies in one unit, that of the longest; a p95 that is slow is amber. */
export function latencyColumns<Row>(columns: readonly Read<Row>[], rows: readonly Row[]): Column<Row>[] {
  const { unit, show } = timeUnit(columns.flatMap(([, read]) => rows.map(read)));
  return columns.map(([name, read, wide = false]) => ({
    name: `${name}, ${unit}`, number: true, wide, cell: (row) => show(read(row)), class: (row) => (name === "p95" && (read(row) ?? 0) > SLOW_MS ? "warn" : ""),
  }));
}

/** `read`: the share of one that failed. */
export function errorColumn<Row>(read: (row: Row) => number | null): Column<Row> {
  const share = (row: Row) => read(row) ?? Number.NaN;
  return { name: "errors", number: true, cell: (row) => shareText(read(row)), class: (row) => (share(row) >= MANY ? "crit" : "") };
}

/** A share of one below others: all of them have one decimal. */
export function shareText(share: number | null): string {
  return share === null ? NONE : `${exact(share * 100, 1)}%`;
}

/** The same rows as they are exported, in units that do not change. */
export function measuredTable(name: string, rows: readonly Measured[]): Tabular {
  return { columns: [name, "requests a minute", "p95 ms", "tokens a minute", "error rate"], rows: rows.map((row) => [row.name, row.rate, row.latency, row.tokens, row.errors]) };
}

/** Why a table of a time that is over has no rows. `what`: "Models"; `none`: said when there were none. */
export function nothingThen(what: string, state: PastMeasured["state"] = "loading", none = "No requests in this time."): string {
  const words = { loading: NONE, ready: none, absent: `${what} are not kept by time here.`, failed: "The service gives no answer about this time." };
  return words[state];
}
