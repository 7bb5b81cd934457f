import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Link } from "./link";
import type { Follower, Heard, Transport } from "./transport";

class Fake implements Transport {
  connects = 0;
  disconnects = 0;
  followers: [string, number, Follower][] = [];
  constructor(readonly name: string, readonly heard: Heard) {}
  connect(): void {
    this.connects += 1;
  }
  disconnect(): void {
    this.disconnects += 1;
  }
  follow(channel: string, from: { offset: number }, follower: Follower): () => void {
    this.followers.push([channel, from.offset, follower]);
    return () => {};
  }
}

function made(reachable = true, ready: () => Promise<void> = async () => {}) {
  const transports: Fake[] = [];
  const make = (name: string) => (heard: Heard) => {
    const transport = new Fake(name, heard);
    transports.push(transport);
    return transport;
  };
  const link = new Link({ first: make("first"), second: make("second"), reachable: async () => reachable }, () => Date.now() / 1000, ready);
  return { link, transports };
}

describe("link", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("says at once that it is lost, and when it tries again", async () => {
    const { link, transports } = made();
    link.connect();
    await vi.advanceTimersByTimeAsync(0);
    transports[0]?.heard.opened();
    expect(link.state.value).toBe("open");
    transports[0]?.heard.lost("gone");
    expect([link.state.value, link.reason.value]).toEqual(["lost", "gone"]);
    expect(link.nextTry.value - Date.now() / 1000).toBeCloseTo(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(transports[0]?.connects).toBe(2);
    transports[0]?.heard.lost("gone");
    expect(link.nextTry.value - Date.now() / 1000).toBeCloseTo(2);
  });

  it("is made while what was before is asked for, later only behind it", async () => {
    const answers: { done: () => void; fail: (error: Error) => void }[] = [];
    const { link, transports } = made(true, () => new Promise((done, fail) => answers.push({ done, fail })));
    link.connect();
    expect(transports[0]?.connects).toBe(1);
    transports[0]?.heard.opened();
    answers[0]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect([link.state.value, transports[0]?.connects]).toEqual(["open", 1]);
    link.follow("metrics_updates", { epoch: "e", offset: 5 }, { event: () => {}, reset: () => {} });
    transports[0]?.heard.lost("gone");
    await vi.advanceTimersByTimeAsync(1000);
    expect(transports[0]?.connects).toBe(1);
    answers[1]?.done();
    await vi.advanceTimersByTimeAsync(0);
    expect(transports[0]?.connects).toBe(2);
  });

  it("is lost and let go when nothing says what was before", async () => {
    const { link, transports } = made(true, () => Promise.reject(new Error("no connection")));
    link.connect();
    transports[0]?.heard.opened();
    await vi.advanceTimersByTimeAsync(0);
    expect([link.state.value, link.reason.value, transports[0]?.disconnects]).toEqual(["lost", "no connection", 2]);
  });

  it("takes the other way when this one does not pass, and goes on where it was", async () => {
    const { link, transports } = made();
    link.connect();
    const got: number[] = [];
    link.follow("metrics_updates", { epoch: "e", offset: 5 }, { event: (event) => got.push(event.offset), reset: () => {} });
    transports[0]?.followers[0]?.[2].event({ offset: 9, type: "t", source: "/" });
    for (let count = 0; count < 4; count += 1) {
      transports[0]?.heard.lost("");
      await vi.advanceTimersByTimeAsync(5000);
    }
    expect(transports.map((transport) => transport.name)).toEqual(["first", "second"]);
    expect(transports[1]?.followers[0]?.slice(0, 2)).toEqual(["metrics_updates", 9]);
    transports[1]?.heard.opened();
    expect([link.state.value, link.name, got]).toEqual(["open", "second", [9]]);
    transports[0]?.heard.lost("late");
    expect(link.state.value).toBe("open");
  });

  it("stays with the first while nothing answers at all", async () => {
    const { link, transports } = made(false);
    link.connect();
    for (let count = 0; count < 6; count += 1) {
      transports[0]?.heard.lost("");
      await vi.advanceTimersByTimeAsync(5000);
    }
    expect(transports.length).toBe(1);
  });
});
