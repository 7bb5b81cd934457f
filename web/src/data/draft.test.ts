import { describe, expect, it } from "vitest";
import { freshId, moved, placed, removed, resized, understood, written, type Definition } from "./draft";

const panel = (id: string) => ({ panel_id: id, panel_type: "stat", data_query: "metric:tokens" });
const three: Definition = { title: "T", panels: [panel("a"), panel("b"), panel("c")] };
const ids = (definition: Definition) => definition.panels.map((each) => each.panel_id).join("");

describe("a definition while it is changed", () => {
  it("moves panels and stays within its ends", () => {
    expect(ids(moved(three, 0, 1))).toBe("bac");
    expect(ids(moved(three, 2, -1))).toBe("cab");
    expect(ids(moved(three, 0, 9))).toBe("bca");
    expect(ids(three)).toBe("abc");
  });
  it("takes panels away, puts others in their place and behind the last", () => {
    expect(ids(removed(three, 1))).toBe("ac");
    expect(ids(placed(three, 1, panel("x")))).toBe("axc");
    expect(ids(placed(three, 9, panel("x")))).toBe("abcx");
  });
  it("makes panels wider and narrower, from 2 columns to 12", () => {
    expect(resized(three, 0, 1, 6).panels[0]?.width).toBe(7);
    expect(resized(three, 0, 99, 6).panels[0]?.width).toBe(12);
    expect(resized(three, 0, -99, 6).panels[0]?.width).toBe(2);
  });
  it("names new panels by their title, each once", () => {
    expect(freshId(three, "Errors, by model!")).toBe("errors_by_model");
    expect(freshId(three, "A")).toBe("a_2");
    expect(freshId(three, "…")).toBe("panel");
  });
  it("keeps what it does not know", () => {
    const text = '{"dashboard_id": "x", "later": [1], "panels": []}';
    expect(JSON.parse(written(understood(text)))).toEqual(JSON.parse(text));
    expect(() => understood("[1]")).toThrow("JSON object");
    expect(() => understood('{"panels": 3}')).toThrow("list");
  });
});
