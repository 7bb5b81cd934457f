import { describe, expect, it } from "vitest";
import { cascade, NOTHING } from "../charts/cascade";
import { alertWords, limitOf, measured } from "../format/alert";
import { advice, savedDaily } from "../panels/Recommendations";
import { shownRows } from "../panels/TableBehind";
import { because, decided, type Decision, steps, stepWords } from "./alerts/decisions";
import { type Delivery, kindOf, outcome, stateOf, whom } from "./alerts/deliveries";
import { firing, pending, type Rule, type Status } from "./alerts/model";
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
    // What is measured does not lose its digits for a moment.
    expect(alertWords({ condition: "error_rate > 0.2", summary: "error_rate is 0.32" }, units).title).toBe("Error rate is 32.0%");
  });

  it("stay as the author of the rule wrote them", () => {
    expect(alertWords({ condition: "latency > 2000", summary: "The model server is slow" }, units).title).toBe("The model server is slow");
    expect(alertWords({ condition: "latency > 1 && tokens > 2", summary: "latency is 5, tokens is 7" }, units)).toEqual({ title: "latency is 5, tokens is 7", limit: "" });
    expect(limitOf("a > 1 && b > 2")).toBeNull();
    expect(alertWords({ condition: "error_rate > 0.2", summary: "critic fails 0.291667 of its requests", values: { error_rate: 0.29166666 } }, units)).toEqual({ title: "critic fails 29.2% of its requests", limit: "limit 20%" });
    expect(alertWords({ condition: "error_rate > 0.2", summary: "critic fails 0.291667, see 10.2.0.3" }, units).title).toBe("critic fails 29.2%, see 10.2.0.3");
    expect(alertWords({ condition: "error_rate > 0.2", summary: "critic fails 1 of 1", values: { error_rate: 0.5 } }, units).title).toBe("critic fails 1 of 1");
    expect(alertWords({ condition: "error_rate > 0.2", summary: "0.3 % fail", values: { error_rate: 0.3 } }, units).title).toBe("0.3 % fail");
    expect(alertWords({ condition: "budget_used_ratio > 0.8", summary: "budget_used_ratio is 1.20501 for budget=every day" }, units).title).toBe("Budget used ratio is 121% for every day");
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

  it("begins where the first day is known, and is level where nothing was spent", () => {
    const [midnight, DAY] = [Date.UTC(2026, 4, 14) / 1000, 86400];
    expect(spendOf([{ day: "2026-05-14", cost_usd: 5 }], 5, { day: null, month: null }, noon).past).toEqual([[midnight, 0], [noon, 5]]);
    const gap = [{ day: "2026-05-11", cost_usd: 3 }, { day: "2026-05-13", cost_usd: 4 }];
    expect(spendOf(gap, 5, { day: null, month: null }, noon).past).toEqual([[midnight - 3 * DAY, 0], [midnight - 2 * DAY, 3], [midnight - DAY, 3], [midnight, 7], [noon, 12]]);
    expect(spendOf([{ day: "2026-04-30", cost_usd: 9 }], 5, { day: null, month: null }, noon).past).toEqual([[Date.UTC(2026, 4, 1) / 1000, 0], [midnight, 0], [noon, 5]]);
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

describe("deliveries in words", () => {
  const mail: Delivery = { channel: "email", target: "oncall@example.org", kind: "firing", state: "sent", attempts: 1, at: "2026-05-14T12:28:01Z" };

  it("say to whom, about what, and how it ended", () => {
    expect([whom(mail), kindOf(mail), stateOf(mail)]).toEqual(["E-mail to oncall@example.org", "fires", { words: "delivered", tone: "ok" }]);
    expect([whom({ ...mail, channel: "sse", target: "" }), kindOf({ ...mail, kind: "resolved" })]).toEqual(["SSE", "ended"]);
    expect(["retry", "dead", "heard of"].map((state) => stateOf({ ...mail, state }).words)).toEqual(["is tried again", "given up", "heard of"]);
  });

  it("are summed up with what needs a look first", () => {
    expect(outcome([{ ...mail, state: "merged" }, mail, { ...mail, state: "dead" }, mail, { ...mail, state: "retry" }])).toBe("1 given up, 1 is tried again, 2 delivered, 1 told with another");
    expect(outcome([])).toBe("");
  });
});

describe("decisions in words", () => {
  const told = (minute: number, outcome = "told"): Decision => ({ at: new Date(2026, 4, 14, 14, minute).toISOString(), stage: "notify", outcome, reason: "new_alerts: alerts were added to the group; to websocket", receiver: "websocket" });

  it("say why without the words of the row", () => {
    expect([because(told(1).reason), because("no route"), because("")]).toEqual(["Alerts were added to the group", "No route", ""]);
  });

  it("are one step from the third of a kind on, and begin anew after another", () => {
    const all = [told(1, "grouped"), told(1), told(2), told(3), told(4), told(5, "silenced"), told(6)];
    expect(steps(all).map(({ first, more }) => [first.outcome, more.length])).toEqual([["grouped", 0], ["told", 0], ["told", 2], ["silenced", 0], ["told", 0]]);
    expect(stepWords({ first: told(2), more: [told(3), told(4)] })).toMatch(/^Alerts were added to the group\. Then 2 more until .*04/);
  });
});

describe("the table behind a curve", () => {
  it("has the newest first and no steps without a value", () => {
    expect(shownRows([["a", 1], ["b", null], ["c", 2]], true)).toEqual([["c", 2], ["a", 1]]);
    expect(shownRows([["a", null], ["b", 1]], false)).toEqual([["a", null], ["b", 1]]);
  });
});

describe("label sets", () => {
  const rule: Rule = { name: "fails", condition: "error_rate > 0.2", channel: "all", priority: "critical", state: "firing", since: null, values: {}, health: "ok", by: ["agent"] };
  const set = (agent: string, state: string) => ({ labels: { agent }, state, since: "2026-05-14T12:28:00Z", episode: `of ${agent}`, values: { error_rate: 0.4 } });
  const status: Status = { rules: [{ ...rule, label_sets: [set("critic", "firing"), set("sleep", "pending"), set("guard", "ok")] }], foreign_alerts: [], silences: { active: 0, pending: 0, expired: 0 }, not_ready: {} };

  it("are alerts of their own, with figures of their own", () => {
    const alert = { episode: "of critic", rule: "fails", priority: "critical", summary: "", condition: "", since: 1, values: { error_rate: 0.3 }, labels: { agent: "critic" } };
    expect(firing([alert], status)[0]?.now).toEqual({ error_rate: 0.4 });
    expect(pending(status).map(({ episode, summary }) => [episode, summary])).toEqual([["of sleep", "fails for sleep is about to fire"]]);
  });
});

describe("why an alert went where", () => {
  it("names the default route and the labels of its group", () => {
    expect(because('route {}, group {}:{alertname="performance_warning"}')).toBe("Default route, grouped by alert performance_warning");
    expect(because("route {}, group {}:{}")).toBe("Default route, in one group with all others");
  });

  it("names a route by its matchers, whatever their values hold", () => {
    const route = String.raw`{}/{team=~"a|b", where!="x\"y}"}`;
    expect(because(`route ${route}, group ${route}:{agent="critic", alertname="slow"}`)).toBe('Route for team matches a|b, where is not x"y}, grouped by agent critic, alert slow');
  });

  it("writes channels as people do, and leaves a receiver its name", () => {
    const goes = (receiver: string) => decided({ at: "", stage: "route", outcome: "grouped", reason: "", receiver });
    expect([goes("websocket"), goes("oncall")]).toEqual(["Goes to WebSocket", "Goes to oncall"]);
  });
});
