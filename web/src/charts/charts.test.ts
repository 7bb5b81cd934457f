import { describe, expect, it } from "vitest";
import { heatSteps } from "./heat";
import { crosses } from "./limit";
import { arranged } from "./places";
import { endText } from "./LineChart";
import { apart, CalmScale, gridlines, niceTop, timePlace } from "./scale";
import type { App } from "../data/app";
import { MetricStore } from "../data/metrics";
import { SeriesRing } from "../data/ring";
import { lettered } from "./Network";
import { lonely, sample, Sampled, stepOf } from "./sampling";
import { filled, reachOf } from "./Sparkline";
import { csv } from "../panels/export";
import { rows } from "../views/rows";
import { limitOf } from "../format/alert";
import { ended } from "../views/alerts/model";
import { metricsOf } from "../panels/Defined";

describe("what stands beside a curve", () => {
  it("is in the unit of its axis, unless that would be nothing", () => {
    expect([11_300, 640, 12, 9.4, 0.0513, 0].map((ms) => endText(ms, 2500, "ms"))).toEqual(["11.3 s", "0.64 s", "0.01 s", "9.40 ms", "51.3 µs", "0.00 s"]);
    expect(endText(640, 900, "ms")).toBe("640 ms");
  });

  it("has a place on an axis that has only begun", () => {
    expect([timePlace(15, 10, 20, 40, 140), timePlace(10, 10, 10, 40, 140)]).toEqual([90, 40]);
  });
});

describe("a value without neighbours", () => {
  it("is found among those that make a line", () => {
    expect(lonely([1, null, 2, null, null, 3, 4, null, 0])).toEqual([0, 2, 8]);
    expect(lonely([1, 2, null, 3, 4])).toBeNull();
    expect(lonely([])).toBeNull();
  });
});

describe("the name of an agent", () => {
  it("is cut where it would leave the picture", () => {
    expect(["planner", "neuroscientist-senior", "report-writer-with-a-rather-long-name"].map(lettered)).toEqual(["planner", "neuroscientist-seni…", "report-writer-with-…"]);
  });
});

describe("the small curve", () => {
  it("joins what a step lies between, and keeps a gap in what came", () => {
    const reach = reachOf([0, 15, 30, 45, 60, 64], 60);
    expect(reach).toBe(16);
    const places = (known: number[]) => Array.from({ length: 60 }, (_, place) => (known.includes(place) ? 1 : Number.NaN));
    expect(filled(places([0, 15, 30, 45, 59]), reach).some(Number.isNaN)).toBe(false);
    expect(filled(places([0, 40]), reach).filter(Number.isNaN)).toHaveLength(58);
    expect(reachOf([5], 60)).toBe(61);
  });
});

describe("scale", () => {
  it("grows at once and shrinks only after a minute below half", () => {
    const scale = new CalmScale();
    expect(scale.fit(90, 0)).toBe(100);
    expect(scale.fit(10, 1)).toBe(100);
    expect(scale.fit(10, 59)).toBe(100);
    expect(scale.fit(10, 61)).toBeLessThan(20);
    expect(scale.fit(400, 62)).toBe(500);
  });

  it("has whole gridlines", () => {
    expect(gridlines(10)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(gridlines(3)).toEqual([0, 1, 2, 3]);
    expect([0, 0.3, 7, 42, 950].map(niceTop)).toEqual([4, 0.4, 8, 50, 1500]);
    expect([900, 3600, 86400].map((span) => stepOf(span))).toEqual([5, 15, 600]);
  });

  it("moves names apart and keeps their order", () => {
    const [first, second, third] = apart([10, 12, 95], 28, 100) as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(28);
    expect(third).toBe(72);
    expect(second).toBeLessThanOrEqual(third - 28);
  });
});

describe("sampling", () => {
  it("has no gap where the past of the page meets what comes live, and keeps the gaps that are", () => {
    const metrics = new MetricStore();
    metrics.seed({ start: 0, step: 15, series: { latency: [1, null, null, 1, 1, null] } });
    for (const at of [91, 95, 104]) metrics.ring.push(at, { latency: 2 });
    const points = new Sampled(1);
    sample({ metrics } as unknown as App, ["latency"], [1], 0, 105, points);
    expect(points.y[0]).toEqual([1, null, null, 1, 1, 2]);
  });
});

describe("sampling of many points", () => {
  it("takes the last value of each step, and forgets the values of another range", () => {
    const ring = new SeriesRing(3000);
    // 480 s in steps of 2 s; ten values a second have pushed out all before 180.
    for (let tick = 0; tick <= 4800; tick += 1) ring.push(tick / 10, { a: tick });
    const metrics = { ring, seeded: { step: 0, until: Number.NEGATIVE_INFINITY }, tick: 1, declared: () => false };
    const points = new Sampled(1);
    sample({ metrics } as unknown as App, ["a"], [1], 0, 480, points);
    const at = (time: number) => points.y[0]?.[points.x.indexOf(time)];
    expect([at(100), at(182), at(184), at(478), points.x.at(-1), points.y[0]?.at(-1)]).toEqual([null, 1819, 1839, 4779, 480, 4799]);
    sample({ metrics } as unknown as App, ["a"], [1], 0, 100, points);
    expect(points.last).toEqual([Number.NaN]);
  });
});

describe("the name of a limit", () => {
  const box = { from: 10, to: 20, least: 5, most: 8 };
  it.each([
    ["below it", [0, 10, 20, 30], [1, 2, 3, 4], false], ["in it", [0, 10, 20, 30], [1, 6, 1, 1], true], ["through it", [0, 10, 20], [1, 1, 99], true],
    ["beside it", [0, 5, 30, 40], [6, null, null, 6], false], ["into it from before", [0, 12], [9, 1], true], ["a gap within", [0, 12, 14], [1, null, 99], false],
  ])("a curve %s", (_, x, y, met) => expect(crosses(x, y, box)).toBe(met));
});

describe("heat", () => {
  it("has a step for zero and none for what is not known", () => expect(heatSteps([null, 0, 1, 2, 3, 4, 5])).toEqual([null, 0, 1, 2, 3, 4, 5]));
});

describe("network", () => {
  const edges = [{ source: "a", target: "b", value: 3 }, { source: "b", target: "c", value: 1 }];

  it("stays where it is when values change, and moves only neighbours for a newcomer", () => {
    const names = ["a", "b", "c", "d", "e"];
    const first = arranged(names, edges, new Map());
    expect(arranged(names, edges.map((edge) => ({ ...edge, value: 9 })), first)).toEqual(first);
    const second = arranged([...names, "f"], [...edges, { source: "f", target: "a", value: 1 }], first);
    expect([second.get("c"), second.get("d")]).toEqual([first.get("c"), first.get("d")]);
    expect(second.get("f")).toBeDefined();
  });

  it("puts two who are alone side by side", () => {
    const [a, b] = [...arranged(["a", "b"], edges, new Map()).values()];
    expect([a?.[1], b?.[1]]).toEqual([0, 0]);
    expect((b?.[0] ?? 0) - (a?.[0] ?? 0)).toBeGreaterThan(1);
  });
});

describe("csv", () => {
  it("is no formula, and numbers stay numbers", () => {
    expect(csv({ columns: ["a", "b"], rows: [["=1+1", 2.5], ['x,"y"', null], ["＝cmd", -1]] })).toBe('a,b\r\n\'=1+1,2.5\r\n"x,""y""",\r\n\'＝cmd,-1\r\n');
  });
});

describe("dashboards", () => {
  const panel = (panel_id: string, panel_type: string) => ({ panel_id, panel_type, title: "", unit: "", query: "", scale: 1, kind: "value" });

  it("puts figures in a row of their own, six at most", () => {
    const stats = Array.from({ length: 7 }, (_, index) => panel(`s${index}`, "stat"));
    expect(rows([...stats, panel("g", "graph"), panel("h", "graph"), panel("t", "table")]).map((row) => row.length)).toEqual([6, 1, 2, 1]);
  });

  it("knows what is live", () => {
    expect(metricsOf("metric:a,b[10m]")).toEqual(["a", "b"]);
    expect([metricsOf("metric:a*"), metricsOf("count:llm.*[5m]")]).toEqual([null, null]);
  });
});

describe("episodes", () => {
  it("are over when they are resolved", () => {
    const event = (offset: number, type: string, time: string, data: object) => ({ offset, type, source: "/", time, data: { episode: "e", rule: "r", ...data } });
    const [only] = ended([
      event(9, "alert.resolved", "2026-05-14T14:30:00Z", { summary: "" }),
      event(5, "alert.firing", "2026-05-14T14:28:00Z", { summary: "too slow", condition: "latency > 2000" }),
      event(7, "alert.acknowledged", "2026-05-14T14:29:00Z", { by: "alice" }),
    ]);
    expect([only?.summary, only?.by, (only?.end ?? 0) - (only?.since ?? 0)]).toEqual(["too slow", "alice", 120]);
    expect(limitOf("latency > 2000")).toEqual({ metric: "latency", limit: 2000 });
    expect(limitOf("a > 1 && b > 2")).toBeNull();
  });
});
