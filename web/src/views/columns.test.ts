import { describe, expect, it } from "vitest";
import { lacking, nothingYet } from "../panels/nothing";
import { measuredColumns } from "./columns";
import type { Measured } from "./measured";

describe("a panel without data", () => {
  it("says what it waits for, where that is known", () => {
    expect(nothingYet({ query: "count:llm.*,agent.*[5m]" })).toBe("Nothing in this time. Counted are llm.*, agent.*.");
    expect(nothingYet({ query: "events:*" }, "No such events yet.")).toBe("No such events yet. Shown are all events.");
    expect(nothingYet({ query: "metric:latency_p50,latency_p95[10m]" })).toBe("Nothing in this time. Values come with llm.request.*.");
    expect(["metric:own", "metric:cpu_percent,own", "promql:up"].map((query) => nothingYet({ query }))).toEqual(Array(3).fill("Nothing in this time."));
    expect([lacking("cost_usd_hour", 2), lacking("cost_usd_hour", NaN), lacking("latency_p95", 2)]).toEqual(["no known price", "no requests now", "no requests now"]);
    expect([lacking("latency_p95"), lacking("disk_percent"), lacking("own")]).toEqual(["no requests now", "no readings now", ""]);
  });
});

describe("tables of requests", () => {
  const made = (latency: number | null, errors: number | null = 0): Measured => ({ name: "m", rate: 12.04, latency, tokens: 936_972, errors });
  const shown = (...rows: [Measured, ...Measured[]]) => measuredColumns("Model", rows).map((column) => [column.name, column.cell(rows[0]), column.class?.(rows[0]) ?? ""]);

  it("have the unit of the slowest, and mark what is slow or fails", () => {
    expect(shown(made(2310, 0.171), made(40))).toEqual([["Model", "m", ""], ["req/min", "12.0", ""], ["p95, s", "2.31", "warn"], ["tokens/min", "937 k", ""], ["errors", "17.1%", "crit"]]);
    expect(shown(made(0.0161, null))[2]).toEqual(["p95, µs", "16.1", ""]);
    expect(shown(made(null, null)).map(([, cell]) => cell)).toEqual(["m", "12.0", "–", "937 k", "–"]);
  });
});
