import { describe, expect, it } from "vitest";
import { Api } from "../../data/api";
import { Draft } from "./saving";

const TEXT = '{"title": "A", "panels": []}';

/** A service that answers GET with the text and PUT as told. */
function made(status: number, error: Record<string, unknown> = {}) {
  const sent: RequestInit[] = [];
  const api = new Api(async (_, init) => {
    sent.push(init);
    if (init.method === "GET") return new Response(TEXT, { headers: { ETag: '"tag"' } });
    return new Response(JSON.stringify(status < 400 ? {} : { error }), { status });
  });
  return { draft: new Draft("own", api), sent };
}

describe("a draft", () => {
  it("is saved over what was read, as it was read when nothing was changed", async () => {
    const { draft, sent } = made(200);
    await draft.read();
    expect(draft.changed.value).toBe(false);
    expect(await draft.save()).toBe(true);
    expect(sent[1]?.body).toBe(TEXT);
    expect((sent[1]?.headers as Record<string, string>)["If-Match"]).toBe('"tag"');
  });
  it("tells every fault, and keeps the draft", async () => {
    const { draft } = made(400, { message: "one", faults: ["own.json:1:2: one", "own.json:3:4: two"] });
    await draft.read();
    draft.set({ panels: [] });
    expect(await draft.save()).toBe(false);
    expect(draft.faults.value).toEqual(["own.json:1:2: one", "own.json:3:4: two"]);
    expect(draft.changed.value).toBe(true);
  });
  it("says who may not change, and that somebody else was quicker", async () => {
    const refused = made(403, { message: "no" });
    await refused.draft.read();
    await refused.draft.save();
    expect(refused.draft.said.value).toContain("dashboards:write");
    const late = made(412, { message: "own.json was changed by somebody else meanwhile", hint: "read it again" });
    await late.draft.read();
    await late.draft.save();
    expect(late.draft.said.value).toBe("own.json was changed by somebody else meanwhile: read it again");
  });
  it("takes a file that can be read and names what cannot", async () => {
    const { draft } = made(200);
    draft.import("{");
    await Promise.resolve();
    expect(draft.said.value).toContain("own.json is not valid JSON");
    draft.import('{"panels": [{"panel_id": "x"}]}');
    expect(draft.definition.value?.panels).toHaveLength(1);
    expect(draft.changed.value).toBe(true);
  });
});
