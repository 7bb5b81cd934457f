import { describe, expect, it } from "vitest";
import { change } from "./change";
import { bytes, dollars, exact, limitText, money, percent, short, shortText, significant, timeUnit, valued, valuedText } from "./number";
import { sentence, subject } from "./sentence";
import { age, clock, duration, since, ticks, tickText } from "./time";

describe("numbers", () => {
  it.each([
    [1284, "1,284"], [41.6, "41.6"], [2.314, "2.31"], [0.42, "0.42"], [0, "0"], [-0, "0"], [null, "–"], [Number.NaN, "–"],
    [99.96, "100"], [0.0123, "0.0123"], [-5.5, "-5.50"],
  ])("three digits of %s", (value, text) => expect(significant(value)).toBe(text));

  it("has k, M and G from 10,000 on", () => {
    expect([9999, 10_000, 58_900, 1_250_000, 3e9].map(shortText)).toEqual(["9,999", "10.0 k", "58.9 k", "1.25 M", "3.00 G"]);
  });

  it("changes its unit only beyond the border", () => {
    expect(short(9500, "k")).toEqual({ text: "9.50", unit: "k" });
    expect(short(9500)).toEqual({ text: "9,500", unit: "" });
    expect(short(8900, "k").unit).toBe("");
  });

  it("knows money, and that an unknown price is not 0", () => {
    expect([6.123, 0.0042, 0.015, 0.05, 0, null].map(money)).toEqual(["6.12", "0.0042", "0.015", "0.05", "0.00", "unknown"]);
    expect([valued(null, "$/h"), valued(Number.NaN, "usd")]).toEqual([{ text: "unknown", unit: "" }, { text: "unknown", unit: "" }]);
    expect([0.0162, 6.123, 99, 1284.4].map(dollars)).toEqual(["0.0162", "6.12", "99.00", "1,284"]);
    expect(valued(6.12, "$/h")).toEqual({ before: "$", text: "6.12", unit: "/h" });
  });

  it("keeps the digits of what is measured, and a limit as it was written", () => {
    expect([valued(8000, "ms").text, valued(17, "/s").text, valued(25, "%").text, valued(0, "%").text, valued(4, "").text]).toEqual(["8.00", "17.0", "25.0", "0", "4"]);
    expect([limitText(2000, "ms"), limitText(90, "%"), limitText(2600, "ms")]).toEqual(["2.00 s", "90%", "2.60 s"]);
  });

  it("takes the unit that fits a short time", () => {
    expect([0.0161, 0.9994, 0.9996, 16, 0].map((ms) => valuedText(ms, "ms"))).toEqual(["16.1 µs", "999 µs", "1.00 ms", "16 ms", "0 ms"]);
    expect([0.0000161, 0.0009996, 0.003, 0].map(duration)).toEqual(["16 µs", "1 ms", "3 ms", "0 ms"]);
  });

  it("has one unit and equal decimals in a column of times", () => {
    const column = (values: (number | null)[]) => [timeUnit(values).unit, ...values.map(timeUnit(values).show)];
    expect(column([1640, 920, null])).toEqual(["s", "1.64", "0.92", "–"]);
    expect(column([43.4, 3.04])).toEqual(["ms", "43.4", "3.0"]);
    expect(column([215.4, 41.7, 3.04])).toEqual(["ms", "215.4", "41.7", "3.0"]);
    expect(column([8020, 40])).toEqual(["s", "8.02", "0.04"]);
    expect(column([8020, 4])).toEqual(["ms", "8,020.0", "4.0"]);
    expect(column([900, 640, 20].map((us) => us / 1000))).toEqual(["ms", "0.90", "0.64", "0.02"]);
    expect(column([0.0161, 0.0094])).toEqual(["µs", "16.1", "9.4"]);
    expect(column([8000, 840, 0.027, 0])).toEqual(["ms", "8,000.0", "840.0", "<0.1", "0.0"]);
    expect(column([0, null])).toEqual(["s", "0.00", "–"]);
  });

  it("writes units", () => {
    expect(valuedText(2310, "ms")).toBe("2.31 s");
    expect(valuedText(840, "ms")).toBe("840 ms");
    expect(valuedText(45.2, "%")).toBe("45.2%");
    expect(valuedText(128, "1/s")).toBe("128 /s");
    expect(valued(58_900, "/min")).toEqual({ text: "58.9", unit: "k/min" });
    expect(bytes(21_000_000_000)).toBe("21.0 GB");
    expect(percent(0.0196)).toBe("1.96");
    expect(exact(12.5, 2)).toBe("12.50");
  });
});

describe("times", () => {
  it.each([[0.64, "640 ms"], [2.314, "2.31 s"], [38, "38 s"], [198, "3 min 18 s"], [180, "3 min"], [10_020, "2 h 47 min"], [259_200, "3 days"]])(
    "duration of %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  it("shows ages up to an hour, then clock times", () => {
    const now = new Date(2026, 4, 14, 14, 32, 8).getTime() / 1000;
    expect(since(now - 240, now)).toBe("4 min");
    expect(since(now - 7200, now)).toMatch(/^12:32/);
    expect(since(now - 2 * 86400, now)).toMatch(/^Tue /);
    expect(age(7300)).toBe("2 h");
    expect([clock(now + 7200, now), clock(now + 2 * 86400, now), clock(now + 20 * 86400, now)].map((words) => words.replace(/\d?\d:\d\d.*/, "at"))).toEqual(["at", "Sat at", expect.stringMatching(/at$/)]);
  });

  it("has round ticks", () => {
    const places = ticks(1000, 4600, 6);
    expect(places.every((at) => at % 600 === 0)).toBe(true);
    expect(places.length).toBeLessThanOrEqual(7);
    expect(tickText(new Date(2026, 4, 14, 14, 30).getTime() / 1000, 3600)).toMatch(/^(14|2):30/);
  });
});

describe("words", () => {
  it.each([[111, 100, "11% above yesterday"], [470, 100, "4.7 times yesterday"], [101, 100, "as yesterday"], [50, 100, "50% below yesterday"], [0, 100, "below yesterday"], [3, 0, "above yesterday"], [null, 1, ""]])(
    "%s against %s", (now, base, text) => expect(change(now, base, "yesterday")).toBe(text));

  it("says what an event says", () => {
    expect(sentence("llm.request.completed", { model: "mixtral-8x7b", input_tokens: 812, output_tokens: 96, latency_ms: 840 })).toBe(
      "mixtral-8x7b, 908 tokens, 840 ms");
    expect(sentence("llm.request.failed", { model: "h", error: "timeout", latency_ms: 8000 })).toBe("h, timeout after 8 s");
    expect(sentence("own.thing", { a: 1, b: "x", c: { d: 1 } })).toBe("a 1, b x");
    expect(sentence("llm.request.completed", {})).toBe("");
    expect(sentence("alert.pending", { rule: "slow", condition: "latency > 2000", episode: "e" })).toBe("slow, latency > 2000 is true");
    expect(sentence("alert.acknowledged", { rule: "slow", by: "alice" })).toBe("slow, acknowledged by alice");
    const fires = { rule: "slow", condition: "latency > 2600", summary: "latency is 2814.6 for model=gpt-4.1" };
    expect(sentence("alert.firing", fires, { latency: "ms" })).toBe("Latency is 2.81 s for gpt-4.1, limit 2.60 s");
    expect(sentence("alert.resolved", { ...fires, summary: "latency is 1465.85 for model=gpt-4.1" }, { latency: "ms" })).toBe("Latency was 1.47 s for gpt-4.1");
    expect(sentence("alert.firing", { rule: "slow" })).toBe("slow");
    expect(sentence("notification.message", { type: "silence", title: "Silence created", message: "until noon" })).toBe("Silence created, until noon");
    expect(sentence("host.memory", { percent: 61, total_bytes: 64e9 })).toBe("61.0% of 64.0 GB");
    expect(sentence("host.network", { received_bytes_per_second: 8019, sent_bytes_per_second: 512 })).toBe("8.02 kB/s in, 512 B/s out");
    expect(subject({ source: "/s", data: { agent: "planner" } })).toBe("planner");
  });
});
