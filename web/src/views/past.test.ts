import { describe, expect, it } from "vitest";
import type { PanelData } from "../data/board";
import { sentence } from "../format/sentence";
import { hoursKept } from "./memory";
import { rows, width } from "./rows";
import { spentIn } from "./tokens/Past";

const HOUR = 3600;
const at = (text: string) => Date.parse(text) / 1000;
const kept = (cost_usd: number, tokens = 10) => ({ cost_usd, tokens, requests: 2, failed_requests: 1, unpriced_requests: 0 });

describe("money of a time that is over", () => {
  const by_hour = [8, 9, 10, 11].map((hour) => ({ hour: `2026-11-30T${String(hour).padStart(2, "0")}:00:00Z`, ...kept(hour) }));
  const by_day = [28, 29, 30].map((day) => ({ day: `2026-11-${day}`, ...kept(100) }));

  it("is that of the whole hours which the range touches", () => {
    const spent = spentIn({ by_hour, by_day }, { from: at("2026-11-30T09:30:00Z"), to: at("2026-11-30T10:30:00Z") }, at("2026-11-30T12:00:00Z"));
    expect(spent).toMatchObject({ unit: "hours", from: at("2026-11-30T09:00:00Z"), to: at("2026-11-30T11:00:00Z"), requests: 4, failed: 2, tokens: 20 });
    expect(spent?.points).toEqual([[at("2026-11-30T09:00:00Z"), 0], [at("2026-11-30T10:00:00Z"), 9], [at("2026-11-30T11:00:00Z"), 19]]);
  });

  it("ends now where the last hour has only begun", () => {
    const now = at("2026-11-30T11:20:00Z");
    const spent = spentIn({ by_hour, by_day }, { from: at("2026-11-30T10:30:00Z"), to: at("2026-11-30T11:10:00Z") }, now);
    expect(spent?.points).toEqual([[at("2026-11-30T10:00:00Z"), 0], [at("2026-11-30T11:00:00Z"), 10], [now, 21]]);
    expect(spent?.to).toBe(now);
  });

  it("is that of days where hours are no longer kept, and nothing before them", () => {
    const spent = spentIn({ by_hour, by_day }, { from: at("2026-11-28T06:00:00Z"), to: at("2026-11-29T06:00:00Z") }, at("2026-11-30T12:00:00Z"));
    expect(spent).toMatchObject({ unit: "days", requests: 4 });
    expect(spent?.points.at(-1)).toEqual([at("2026-11-30T00:00:00Z"), 200]);
    expect(spentIn({ by_hour, by_day }, { from: at("2026-09-01T00:00:00Z"), to: at("2026-09-02T00:00:00Z") }, at("2026-11-30T12:00:00Z"))).toBeNull();
  });
});

describe("knowledge by hour", () => {
  const now = at("2026-11-30T12:20:00Z");

  it("has 24 hours while the page is live, and those of the range when it is over", () => {
    expect(hoursKept(now, null)).toHaveLength(24);
    expect(hoursKept(now, null).at(-1)).toEqual({ at: at("2026-11-30T12:00:00Z"), place: 23 });
    const past = hoursKept(now, { from: at("2026-11-30T09:30:00Z"), to: at("2026-11-30T11:00:00Z") });
    expect(past.map((each) => each.place)).toEqual([20, 21]);
    expect(hoursKept(now, { from: now - 50 * HOUR, to: now - 30 * HOUR })).toEqual([]);
  });
});

describe("rows of a dashboard", () => {
  const panel = (panel_type: string, more: Partial<PanelData> = {}): PanelData => ({ panel_id: panel_type, panel_type, title: "", unit: "", query: "", scale: 1, kind: "", ...more });

  it("put gauges that follow each other side by side, evenly", () => {
    const made = rows([panel("feed", { kind: "events" }), panel("gauge"), panel("gauge"), panel("gauge"), panel("graph")]);
    expect(made.map((row) => row.length)).toEqual([1, 3, 1]);
    const [feed, gauges] = made as [PanelData[], PanelData[]];
    expect(width(feed[0] as PanelData, feed)).toBe(12);
    expect(gauges.map((each) => width(each, gauges))).toEqual([4, 4, 4]);
  });

  it("leave a gauge alone, or with a width of its own, where it stood", () => {
    expect(rows([panel("feed", { kind: "events" }), panel("gauge")]).map((row) => row.length)).toEqual([2]);
    expect(rows([panel("gauge", { width: 6 }), panel("gauge", { width: 6 })]).map((row) => row.length)).toEqual([2]);
  });
});

describe("a look-up in memory that one event tells", () => {
  it("has its tier, its time and whether something was found", () => {
    const data = { tier_accessed: "redis_immediate", latency_by_tier: { redis_immediate: 0.003 }, items_retrieved: 4 };
    expect(sentence("memory.tier.access", data)).toBe("Redis hit in 3 ms, 4 items");
    const miss = { tier_accessed: "chromadb_semantic", latency_by_tier: { redis: 0.003, chromadb_semantic: 0.15 }, items_retrieved: 0 };
    expect(sentence("memory.tier.access", miss)).toBe("ChromaDB miss in 153 ms, 0 items");
    expect(sentence("memory.tier.access", { tier: "postgres", hit: false, latency_ms: 26 })).toBe("PostgreSQL miss in 26 ms");
  });
});
