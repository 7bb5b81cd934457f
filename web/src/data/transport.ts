// Two ways to follow channels of the log: one Centrifuge WebSocket, or one EventSource where WebSockets do not pass.

import { Centrifuge, type Subscription } from "centrifuge";
import { isEvent, type LogEvent, matches } from "./events";

export interface Position {
  epoch: string;
  offset: number;
}

export interface Follower {
  event(event: LogEvent): void;
  /** The log no longer has the position: what was built from the stream is void. */
  reset(): void;
}

export interface Transport {
  readonly name: string;
  connect(): void;
  /** Follow a channel from behind a position; the answer ends it. */
  follow(channel: string, from: Position, follower: Follower): () => void;
  /** Let go of the connection; positions are kept. */
  disconnect(): void;
}

export interface Heard {
  opened(): unknown;
  lost(reason: string): unknown;
}

/** The client's own waiting is switched off: `Link` says when the next try is. */
const NEVER = 86_400_000;
/** The close code of a connection that we end ourselves. */
const OURS = 0;

export class CentrifugeTransport implements Transport {
  readonly name = "WebSocket";
  private readonly client: Centrifuge;

  constructor(url: string, heard: Heard) {
    this.client = new Centrifuge(url, { minReconnectDelay: NEVER, maxReconnectDelay: NEVER, timeout: 5000, maxServerPingDelay: 10_000 });
    this.client.on("connected", () => heard.opened());
    this.client.on("connecting", ({ code, reason }) => code !== OURS && heard.lost(reason));
    this.client.on("disconnected", ({ code, reason }) => code !== OURS && heard.lost(reason));
    this.client.on("error", ({ error }) => heard.lost(error.message));
  }

  connect(): void {
    this.client.connect();
  }

  disconnect(): void {
    this.client.disconnect();
  }

  follow(channel: string, from: Position, follower: Follower): () => void {
    const known = this.client.getSubscription(channel);
    if (known) this.client.removeSubscription(known);
    const subscription = this.client.newSubscription(channel, { since: { offset: from.offset, epoch: from.epoch } });
    this.listen(subscription, follower);
    subscription.subscribe();
    return () => {
      subscription.removeAllListeners();
      this.client.removeSubscription(subscription);
    };
  }

  private listen(subscription: Subscription, follower: Follower): void {
    subscription.on("publication", ({ data, offset }) => {
      if (isEvent(data)) follower.event({ ...data, offset: offset ?? 0 });
    });
    subscription.on("subscribed", ({ wasRecovering, recovered }) => {
      if (wasRecovering && !recovered) follower.reset();
    });
  }
}

interface Followed {
  channel: string;
  patterns: readonly string[];
  position: Position;
  follower: Follower;
}

export class SseTransport implements Transport {
  readonly name = "SSE";
  private readonly followed = new Set<Followed>();
  private source: EventSource | null = null;
  private pending = 0;

  /** `patterns`: the event types of a channel. */
  constructor(private readonly patterns: (channel: string) => readonly string[], private readonly heard: Heard) {}

  connect(): void {
    this.disconnect();
    const all = [...this.followed];
    if (!all.length) return;
    const first = all.reduce((least, each) => (each.position.offset < least.position.offset ? each : least));
    const types = [...new Set(all.flatMap((each) => each.patterns))];
    const query = new URLSearchParams({ after: `${first.position.epoch}.${first.position.offset}`, page: "live" });
    if (!types.includes("*")) query.set("type", types.join(","));
    const source = (this.source = new EventSource(`/sse/events?${query}`));
    source.onopen = () => this.heard.opened();
    source.onerror = () => this.lose();
    source.onmessage = ({ data }: MessageEvent<string>) => this.take(data);
    source.addEventListener("reset", () => all.forEach((each) => each.follower.reset()));
  }

  disconnect(): void {
    this.source?.close();
    this.source = null;
  }

  follow(channel: string, from: Position, follower: Follower): () => void {
    const entry = { channel, patterns: this.patterns(channel), position: { ...from }, follower };
    this.followed.add(entry);
    this.again();
    return () => {
      this.followed.delete(entry);
      this.again();
    };
  }

  /** Several changes in one turn are one new stream. */
  private again(): void {
    clearTimeout(this.pending);
    this.pending = setTimeout(() => this.connect(), 0) as unknown as number;
  }

  private lose(): void {
    this.disconnect();
    this.heard.lost("");
  }

  private take(text: string): void {
    const event: unknown = JSON.parse(text);
    if (!isEvent(event)) return;
    for (const each of this.followed) {
      if (event.offset <= each.position.offset || !matches(each.patterns, event.type)) continue;
      each.position.offset = event.offset;
      each.follower.event(event);
    }
  }
}
