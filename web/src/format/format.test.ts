import { describe, expect, it } from "vitest";
import { change } from "./change";
import { bytes, dollars, exact, money, percent, short, shortText, significant, valued, valuedText } from "./number";
import { sentence, subject } from "./sentence";
import { age, duration, since, ticks, tickText } from "./time";

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
    expect([0.0162, 6.123, 99, 1284.4].map(dollars)).toEqual(["0.0162", "6.12", "99.00", "1,284"]);
    expect(valued(6.12, "$/h")).toEqual({ before: "$", text: "6.12", unit: "/h" });
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
  });

  it("has round ticks", () => {
    const places = ticks(1000, 4600, 6);
    expect(places.every((at) => at % 600 === 0)).toBe(true);
    expect(places.length).toBeLessThanOrEqual(7);
    expect(tickText(new Date(2026, 4, 14, 14, 30).getTime() / 1000, 3600)).toMatch(/^(14|02):30/);
  });
});

describe("words", () => {
  it.each([[111, 100, "11% above yesterday"], [470, 100, "4.7 times yesterday"], [101, 100, "as yesterday"], [50, 100, "50% below yesterday"], [null, 1, ""]])(
    "%s against %s", (now, base, text) => expect(change(now, base, "yesterday")).toBe(text));

  it("says what an event says", () => {
    expect(sentence("llm.request.completed", { model: "mixtral-8x7b", input_tokens: 812, output_tokens: 96, latency_ms: 840 })).toBe(
      "mixtral-8x7b, 908 tokens, 840 ms");
    expect(sentence("llm.request.failed", { model: "h", error: "timeout", latency_ms: 8000 })).toBe("h, timeout after 8 s");
    expect(sentence("own.thing", { a: 1, b: "x", c: { d: 1 } })).toBe("a 1, b x");
    expect(sentence("llm.request.completed", {})).toBe("");
    expect(subject({ source: "/s", data: { agent: "planner" } })).toBe("planner");
  });
});
