import { describe, expect, it, vi } from "vitest";
import { AlertStore } from "./alerts";
import { ClockBounds } from "./clock";
import { Api, Refusal, Unreachable } from "./api";
import { applied } from "./delta";
import { matches } from "./events";
import { FeedStore } from "./feed";
import { Latency } from "./latency";
import { MetricStore } from "./metrics";
import { Moment } from "./moment";
import { Painter } from "./painter";
import { Resource } from "./resource";
import { SeriesRing } from "./ring";

describe("an answer that is asked for", () => {
  const made = (rests: () => boolean) => {
    const asked: string[] = [];
    let give: (answer: Response) => void = () => undefined;
    const api = new Api((url) => new Promise((done) => (asked.push(url), (give = done))));
    const resource = new Resource<{ a: number }>(api, "/a", 0.001, true, rests);
    return { asked, resource, answer: () => give(new Response('{"a": 1}')) };
  };

  it("is late until it comes, while somebody waits for it", async () => {
    const { resource, answer } = made(() => false);
    expect(resource.late(-1)).toBe(false);
    const end = resource.watch();
    expect([resource.late(-1), resource.late(60)]).toEqual([true, false]);
    answer();
    await vi.waitFor(() => expect(resource.answer.value.data).toEqual({ a: 1 }));
    expect(resource.late(-1)).toBe(false);
    end();
  });

  it("is not asked for again while nobody would answer", async () => {
    vi.useFakeTimers();
    let away = false;
    const { asked, resource, answer } = made(() => away);
    const end = resource.watch();
    away = true;
    answer();
    await vi.advanceTimersByTimeAsync(100);
    expect([resource.answer.value.state, asked]).toEqual(["ready", ["/a"]]);
    away = false;
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toEqual(["/a", "/a"]);
    end();
    vi.useRealTimers();
  });
});

describe("ring", () => {
  it("keeps the newest, in order, and forgets the oldest", () => {
    const ring = new SeriesRing(4);
    for (let at = 1; at <= 6; at += 1) ring.push(at, { a: at * 10 });
    expect([ring.oldest, ring.newest, ring.length]).toEqual([3, 6, 4]);
    expect(ring.between(4, 5)).toEqual({ from: 1, to: 3 });
    expect(ring.value("a", ring.before(4.5))).toBe(40);
    expect(ring.before(2)).toBe(-1);
    expect([ring.first(4), ring.first(4, 2), ring.first(6.5)]).toEqual([1, 2, 4]);
    expect([ring.mean("a", ring.between(4, 6)), ring.mean("b", ring.between(4, 6)), ring.mean("a", ring.between(9, 10))]).toEqual([50, Number.NaN, Number.NaN]);
  });

  it("takes the same moment again, never an older one", () => {
    const ring = new SeriesRing(4);
    ring.push(2, { a: 1 });
    expect(ring.push(2, { a: 5 })).toBe(true);
    expect(ring.push(1, { a: 9 })).toBe(false);
    expect([ring.length, ring.value("a", 0)]).toEqual([1, 5]);
  });

  it("has nothing, not zero, where a metric was not", () => {
    const ring = new SeriesRing(4);
    ring.push(1, { a: 0 });
    ring.push(2, { b: null });
    expect([ring.value("a", 0), ring.value("a", 1), ring.value("b", 0), ring.value("c", 0)]).toEqual([0, Number.NaN, Number.NaN, Number.NaN]);
  });
});

const snapshot = (at: number, metrics: Record<string, number | null>) => ({ offset: at, type: "analytics.snapshot", source: "/", data: { at: new Date(at * 1000).toISOString(), metrics, tick_s: 1 } });

describe("metrics", () => {
  it("is silent only once it is later than what was asked for could be", () => {
    const store = new MetricStore();
    store.seed({ start: 900, step: 15, series: { a: [1, 2] } });
    expect([store.silentSince(940), store.silentSince(950)]).toEqual([Number.NaN, 929]);
    store.take(snapshot(950, { a: 3 }));
    expect([store.silentSince(955), store.silentSince(956)]).toEqual([Number.NaN, 950]);
  });

  it("joins what was with what comes", () => {
    const store = new MetricStore();
    store.seed({ start: 100, step: 10, series: { a: [null, 1, 2] } });
    expect(store.take(snapshot(130, { a: 3 }))).toBe(true);
    expect([store.at("a", 125), store.at("a", 130), store.at("a", 105)]).toEqual([1, 3, Number.NaN]);
    expect(store.mean("a", 0, 200)).toBe(2);
  });

  it("knows when no snapshot came, while the page looked and before", () => {
    const store = new MetricStore();
    store.seed({ start: 100, step: 10, series: { a: [1, 2, null, null, 3, null, 4, null, null] } });
    expect(store.gaps).toEqual([[119, 149], [149, 169]]);
    for (const at of [194, 197, 210]) store.take(snapshot(at, { a: 5 }));
    expect(store.gaps).toEqual([[119, 149], [149, 169], [169, 194], [197, 210]]);
    store.seed({ start: 300, step: 10, series: { a: [1, 2] } });
    expect(store.gaps).toEqual([]);
  });

  it.each([[null], [[]], ["text"], [{ metrics: 1 }], [{ at: "never", metrics: {} }]])("passes over %j", (data) => {
    const store = new MetricStore();
    expect(store.take({ offset: 1, type: "analytics.snapshot", source: "/", data })).toBe(false);
  });
});

describe("alerts", () => {
  const fire = (episode: string, priority: string) => ({ offset: 1, type: "alert.firing", source: "/", time: "2026-05-14T14:28:00Z", data: { episode, rule: `r-${episode}`, priority, summary: episode } });

  it("has critical first, knows an episode once, and ends it", () => {
    const store = new AlertStore();
    store.take(fire("w", "warning"));
    store.take(fire("c", "critical"));
    store.take(fire("c", "critical"));
    store.take({ ...fire("w", "warning"), type: "alert.acknowledged", data: { episode: "w", by: "alice" } });
    expect(store.firing.value.map((alert) => [alert.episode, alert.by])).toEqual([["c", undefined], ["w", "alice"]]);
    store.take({ ...fire("c", ""), type: "alert.resolved", time: "2026-05-14T14:30:00Z" });
    expect(store.firing.value.map((alert) => alert.episode)).toEqual(["w"]);
    expect(store.spans.map((span) => span.end === null)).toEqual([true, false]);
  });
});

describe("limits of rules", () => {
  it("are those of what fires, for the metric and its quantiles", () => {
    const store = new AlertStore();
    store.take({ offset: 1, type: "alert.firing", source: "/", data: { episode: "e", rule: "slow", condition: "latency > 2600" } });
    expect([store.limit("slow", "latency"), store.limit("slow", "latency_p95"), store.limit("slow", "latency_share"), store.limit("other", "latency"), store.limit(undefined, "latency")]).toEqual([2600, 2600, undefined, undefined, undefined]);
  });
});

describe("clocks", () => {
  it("are the same until answers prove that they are not, and then as far apart as these allow", () => {
    const clocks = new ClockBounds();
    clocks.take(100, 100.3, 100.25);
    expect(clocks.shift).toBe(0);
    clocks.take(200, 200.1, 200.15);
    expect(clocks.shift).toBeCloseTo(0.1005);
    clocks.take(300, 300.02, 300.09);
    expect(clocks.shift).toBeCloseTo(0.0805, 3);
    clocks.take(400, 400.01, 340);
    expect(clocks.shift).toBeCloseTo(-60.0045, 3);
    clocks.take(1, 2, Number.NaN);
    expect(clocks.shift).toBeCloseTo(-60.0045, 3);
  });
});

describe("feed", () => {
  const event = (offset: number, type = "a.b") => ({ offset, type, source: "/" });

  it("joins the past with what came meanwhile, each once, newest first", () => {
    const feed = new FeedStore(() => 1);
    feed.take(event(7));
    feed.seed([event(5), event(7), event(6)]);
    feed.take(event(6));
    expect(feed.lines.map((line) => line.offset)).toEqual([7, 6, 5]);
  });

  it("shows at most a part of a flood, and says so", () => {
    let now = 1;
    const feed = new FeedStore(() => now);
    for (let offset = 1; offset <= 3000; offset += 1) {
      now = 1 + Math.floor(offset / 300);
      feed.take(event(offset));
    }
    expect(feed.sampled).toBe(10);
    expect(feed.total).toBe(3000);
    expect(feed.lines.length).toBeLessThanOrEqual(400);
    expect(Math.round(feed.rate())).toBe(300);
  });

  it("takes its own types alone", () => {
    const feed = new FeedStore(() => 1, ["llm.*"]);
    feed.take(event(1, "llm.request.failed"));
    feed.take(event(2, "host.cpu"));
    expect(feed.lines.map((line) => line.type)).toEqual(["llm.request.failed"]);
    expect([matches(["*"], "x"), matches(["llm.*"], "llmx.y"), matches(["a.b"], "a.b")]).toEqual([true, false, true]);
  });
});

describe("delta", () => {
  it("sets, removes and extends, and leaves its base", () => {
    const base = { value: 1, limit: 2, series: { "a/b": [1, 2, 3] } };
    expect(applied(base, { set: { "/value": 5 }, remove: ["/limit"], extend: { "/series/a~1b": { drop: 1, add: [4] } } })).toEqual({ value: 5, series: { "a/b": [2, 3, 4] } });
    expect(base.limit).toBe(2);
  });

  it.each([[{ set: { "/x/y": 1 } }], [{ remove: ["/x"] }], [{ extend: { "/value": { drop: 0, add: [] } } }], [{ set: { "/__proto__/x": 1 } }], [{ set: { "/__proto__": 1 } }]])("refuses %j", (delta) =>
    expect(() => applied({ value: 1 }, delta)).toThrow());
});

describe("moment", () => {
  it("pauses where it is, looks back, and is live again at the present", () => {
    let now = 10_000;
    const moment = new Moment(() => now);
    moment.pause(77);
    now += 60;
    expect([moment.mode.value, moment.end(), moment.pausedAt.value]).toEqual(["paused", 10_000, 77]);
    moment.look(5000, 6000);
    expect([moment.mode.value, moment.start(), moment.end()]).toEqual(["past", 5000, 6000]);
    moment.step(0.5);
    expect(moment.end()).toBe(6500);
    moment.look(9000, now);
    expect([moment.mode.value, moment.span.value]).toEqual(["live", 1060]);
  });
});

describe("latency", () => {
  it("counts what was painted, and nothing that was recovered", () => {
    let now = 100;
    const latency = new Latency(() => now, (run) => run());
    latency.taken(99.98);
    latency.taken(40);
    now = 100.01;
    latency.painted();
    expect(latency.count).toBe(1);
    expect(latency.quantile(0.99)).toBeCloseTo(0.03);
  });
});

describe("painter", () => {
  it("paints once for many changes, and nothing while hidden", () => {
    const asked: (() => void)[] = [];
    let hidden = false;
    const painter = new Painter({ request: (run) => void asked.push(run), now: () => 0, hidden: () => hidden });
    let painted = 0;
    painter.add(() => (painted += 1));
    painter.touch();
    painter.touch();
    expect(asked.length).toBe(1);
    asked.pop()?.();
    expect(painted).toBe(1);
    hidden = true;
    painter.touch();
    expect(asked.length).toBe(0);
  });
});

describe("api", () => {
  it("carries what the service said when it refused", async () => {
    const api = new Api(async () => new Response(JSON.stringify({ error: { code: "unknown", message: "no such thing", hint: "ask" } }), { status: 404 }));
    const refusal = await api.get("/x").catch((error: Refusal) => error);
    expect(refusal).toBeInstanceOf(Refusal);
    expect([(refusal as Refusal).absent, (refusal as Refusal).message]).toEqual([true, "no such thing"]);
  });

  it("tells a connection that is not there", async () => {
    const api = new Api(() => Promise.reject(new TypeError("failed")));
    await expect(api.get("/x")).rejects.toBeInstanceOf(Unreachable);
  });

  it("knows what is waited for, whether it comes or not", async () => {
    const given: { done: (answer: Response) => void; fail: (error: Error) => void }[] = [];
    const api = new Api(() => new Promise((done, fail) => given.push({ done, fail })));
    const answers = [api.first("/a?from=1"), api.awaiting("/b", api.get("/b").catch(() => null)), api.get("/c")];
    expect([api.late(-1), api.late(60)]).toEqual([["/a?from=1", "/b"], []]);
    given[0]?.done(new Response("1"));
    await answers[0];
    expect(api.late(-1)).toEqual(["/b"]);
    given[1]?.fail(new TypeError("failed"));
    await answers[1];
    expect(api.late(-1)).toEqual([]);
  });
});
