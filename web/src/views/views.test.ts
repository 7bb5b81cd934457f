import { describe, expect, it } from "vitest";
import { cascade, NOTHING } from "../charts/cascade";
import { alertWords, limitOf, measured } from "../format/alert";
import { advice, savedDaily } from "../panels/Recommendations";
import { reached, spendOf } from "./tokens/spend";

const BOX = { left: 0, right: 400, top: 40, height: 260 };

describe("reads as a cascade", () => {
  const tiers = [{ name: "Redis", answered: 45 }, { name: "PostgreSQL", answered: 40 }, { name: "ChromaDB", answered: 12 }];
  const steps = [
    { from: null, to: "Redis", count: 100 }, { from: "Redis", to: "PostgreSQL", count: 55 },
    { from: "PostgreSQL", to: "ChromaDB", count: 15 }, { from: "ChromaDB", to: null, count: 3 },
  ];

  it("steps down from tier to tier, and what is answered runs straight out", () => {
    const drawn = cascade(tiers, steps, BOX);
    const tops = drawn.tiers.map((bar) => bar.y);
    expect(tops).toEqual([...tops].sort((left, right) => left - right));
    expect(new Set(tops).size).toBe(3);
    for (const ribbon of drawn.ribbons.filter((each) => each.kind === "answered")) expect(ribbon.y0).toBe(ribbon.y1);
  });

  it("loses nothing: what reaches a tier leaves it, in the same width", () => {
    const drawn = cascade(tiers, steps, BOX);
    const width = (of: "from" | "to", name: string) => drawn.ribbons.filter((ribbon) => ribbon[of] === name).reduce((sum, ribbon) => sum + ribbon.width, 0);
    for (const tier of tiers) expect(width("from", tier.name)).toBeCloseTo(width("to", tier.name), 6);
    expect(drawn.ends.map((end) => end.name)).toEqual(["Redis", "PostgreSQL", "ChromaDB", NOTHING]);
    for (const end of drawn.ends) expect(end.y + end.height).toBeLessThanOrEqual(BOX.top + BOX.height + 1e-6);
  });

  it("draws nothing, one tier, and reads that all found nothing", () => {
    expect(cascade([], [], BOX).ribbons).toEqual([]);
    expect(cascade([{ name: "Redis", answered: 0 }], [], BOX).ribbons).toEqual([]);
    const lost = cascade([{ name: "Redis", answered: 0 }], [{ from: null, to: "Redis", count: 7 }, { from: "Redis", to: null, count: 7 }], BOX);
    expect(lost.ribbons.map((ribbon) => ribbon.kind)).toEqual(["on", "nothing"]);
  });
});

describe("alerts in words", () => {
  const units = { latency: "ms", error_rate: "", throughput: "1/s", tokens: "tokens" };

  it("have the measure, its unit and its limit", () => {
    const alert = { condition: "latency > 2000", summary: "latency is 2101.08" };
    expect(alertWords(alert, units)).toEqual({ title: "Latency is 2.10 s", limit: "limit 2.00 s" });
    expect(alertWords(alert, units, 2310)).toEqual({ title: "Latency is 2.31 s", limit: "limit 2.00 s" });
    expect(alertWords(alert, units, Number.NaN, true).title).toBe("Latency was 2.10 s");
    expect(alertWords({ condition: "error_rate > 0.2", summary: "error_rate is 0.231" }, units)).toEqual({ title: "Error rate is 23.1%", limit: "limit 20%" });
  });

  it("stay as the author of the rule wrote them", () => {
    expect(alertWords({ condition: "latency > 2000", summary: "The model server is slow" }, units).title).toBe("The model server is slow");
    expect(alertWords({ condition: "latency > 1 && tokens > 2", summary: "latency is 5, tokens is 7" }, units)).toEqual({ title: "latency is 5, tokens is 7", limit: "" });
    expect(limitOf("a > 1 && b > 2")).toBeNull();
    expect([measured("throughput", 1284, units), measured("tokens", 58_900, units)]).toEqual(["1,284 /s", "58.9 k"]);
  });
});

describe("recommendations", () => {
  it("are said as an operator says them, with amounts a day", () => {
    const repeated = { kind: "repeated_query", text: "'q3' was put 53 times since yesterday: compute", query: "q3", requests: 53, tokens: 516608, saves_usd: 1.5 };
    expect(advice(repeated)).toEqual({ title: "Answer “q3” once", why: "Asked 53 times since yesterday, 517 k tokens. A kept answer saves all but the first.", instead: "" });
    expect(savedDaily(repeated, 86400 * 20000 + 43200)).toBeCloseTo(1);
    expect(savedDaily({ kind: "cache_items", text: "", saves_usd_per_day: 2.15 }, 0)).toBe(2.15);
    expect(savedDaily({ kind: "cache_items", text: "", saves_usd_per_day: null }, 0)).toBeNull();
    expect(advice({ kind: "unheard_of", text: "This is so: do that" })).toEqual({ title: "This is so", why: "do that", instead: "" });
  });
});

describe("spend of a month", () => {
  const noon = Date.UTC(2026, 4, 14, 12) / 1000;
  const days = Array.from({ length: 13 }, (_, index) => ({ day: `2026-05-${String(index + 1).padStart(2, "0")}`, cost_usd: 100 + (index % 3) }));

  it("adds up to now and goes on as the platform projects it", () => {
    const spend = spendOf(days, 50, { day: 100, month: 3100 }, noon);
    const known = days.reduce((sum, each) => sum + each.cost_usd, 0);
    expect(spend.past.at(-1)).toEqual([noon, known + 50]);
    expect(spend.ahead[0]?.value).toBeCloseTo(known + 100);
    expect(spend.ahead.at(-1)).toMatchObject({ at: Date.UTC(2026, 5, 1) / 1000, value: 3100 });
    expect(spend.ahead).toHaveLength(18);
    const widths = spend.ahead.map((each) => (each.upper as number) - (each.lower as number));
    expect(widths).toEqual([...widths].sort((left, right) => left - right));
  });

  it("has no band of too few days, and none of an unknown price", () => {
    const few = spendOf(days.slice(-3), 50, { day: 100, month: 3100 }, noon);
    expect([few.known, few.ahead[0]?.lower]).toEqual([3, null]);
    expect(spendOf([], null, { day: null, month: null }, noon)).toMatchObject({ ahead: [], before: [] });
  });

  it("lays the month before over this one", () => {
    const april = [{ day: "2026-04-01", cost_usd: 10 }, { day: "2026-04-02", cost_usd: 5 }];
    expect(spendOf(april, 0, { day: null, month: null }, noon).before).toEqual([[Date.UTC(2026, 4, 2) / 1000, 10], [Date.UTC(2026, 4, 3) / 1000, 15]]);
  });

  it("knows when a limit is reached", () => {
    expect(reached([[0, 0], [10, 100], [20, 300]], 200)).toBe(15);
    expect(reached([[0, 0], [10, 100]], 101)).toBeNull();
    expect(reached([], 1)).toBeNull();
  });
});
