import { describe, expect, it } from "vitest";
import { commands, target } from "./commands";

describe("where events are sent", () => {
  it.each([
    ["http://127.0.0.1:9100", "127.0.0.1", "http://127.0.0.1:9100"],
    ["http://127.0.0.1:46379", "localhost", "http://localhost:46379"],
    ["http://0.0.0.0:9100", "citadel.example.org", "http://citadel.example.org:9100"],
    ["http://[::1]:9100/", "[2001:db8::7]", "http://[2001:db8::7]:9100"],
    ["http://192.168.10.29:9100", "citadel.example.org", "http://192.168.10.29:9100"],
    ["https://events.example.org/in/", "localhost", "https://events.example.org/in"],
    ["", "127.0.0.1", "http://127.0.0.1:9100"],
  ])("%s, seen from a page on %s, is %s", (eventsIn, host, found) => {
    expect(target(eventsIn, host)).toBe(found);
  });
});

describe("the commands", () => {
  it("name no address to hxp that it knows by itself", () => {
    expect(commands("http://127.0.0.1:9100")["hxp"]).not.toContain("--url");
  });

  it("all name another one", () => {
    for (const text of Object.values(commands("http://127.0.0.1:46379"))) expect(text).toContain("http://127.0.0.1:46379");
  });
});
