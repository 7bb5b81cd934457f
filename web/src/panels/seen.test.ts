import { describe, expect, it } from "vitest";
import { seen } from "./seen";

function panel(inner: string): HTMLElement {
  const parsed = new DOMParser().parseFromString(`<section>${inner}</section>`, "text/html");
  return parsed.querySelector("section") as HTMLElement;
}

describe("what a panel shows", () => {
  it("is its table, without what only a shape says", () =>
    expect(seen(panel('<table class="grid"><thead><tr><th>Agent</th><th>load</th></tr></thead><tbody><tr><td><span aria-hidden="true">▲</span> planner</td><td>7 / 10</td></tr><tr class="below"><td>open</td></tr></tbody></table>'))).toEqual({ columns: ["Agent", "load"], rows: [["planner", "7 / 10"]] }));

  it("is its lines, those that are shown", () =>
    expect(seen(panel('<div class="feed"><button class="line"><span>14:32</span><span>a.b</span><span>x</span><span>said</span></button><button class="line" hidden><span>-</span></button></div>')).rows).toEqual([["14:32", "a.b", "x", "said"]]));

  it("is its gauges or its list", () => {
    expect(seen(panel('<div class="gauge"><span>CPU</span><b>38%</b></div>')).rows).toEqual([["CPU", "38%"]]);
    expect(seen(panel("<ul><li><p>Keep 5 items</p><b>2.15</b></li></ul>")).rows).toEqual([["Keep 5 items", "2.15"]]);
  });
});
