// Everything the page knows, outside of the component tree: made once in main.tsx, handed down by context.

import { signal } from "@preact/signals";
import { parsed } from "../format/time";
import { type Alert, AlertStore, type Span } from "./alerts";
import { Api } from "./api";
import { BoardStore } from "./board";
import { ClockBounds } from "./clock";
import type { LogEvent } from "./events";
import { FeedStore } from "./feed";
import { HistoryStore } from "./history";
import { Latency } from "./latency";
import { Link } from "./link";
import { MetricStore, type SeriesAnswer } from "./metrics";
import { Moment } from "./moment";
import { Painter } from "./painter";
import { Resource } from "./resource";
import { CentrifugeTransport, type Follower, type Position, SseTransport } from "./transport";

export interface Boot {
  node: string;
  version: string;
  /** The view at `/` on this port. */
  home: string;
  dashboards: [name: string, title: string][];
  /** Addresses of optional parts that are served; others are not asked for. */
  paths: string[];
  /** Where events are taken in, as the gateway reaches it. */
  events_in: string;
}

/** What `GET /dashboards/query` answers, beside the panels. */
interface QueryAnswer {
  now: number;
  epoch: string;
  position: number;
  stale: boolean;
  alerts: Alert[];
  spine: { spans: Span[] };
  log: { bytes: number; first: number; head: number; status: string };
  answers: (SeriesAnswer & { kind: string; fault?: string; events?: LogEvent[] })[];
}

interface History {
  result?: { publications?: { data: LogEvent; offset: number }[]; offset: number; epoch: string };
}

/** These two are preloaded by index.html. */
const SEED = "/dashboards/query?graph=metric:*[1h]";
const STREAMS = "/streams";

export class App {
  readonly painter = new Painter();
  readonly api = new Api();
  readonly moment = new Moment(() => Date.now() / 1000);
  readonly metrics = new MetricStore();
  readonly alerts = new AlertStore();
  readonly history = new HistoryStore(this.api, () => this.painter.touch(), () => this.serves("/analytics/range"));
  readonly latency = new Latency(() => this.moment.now());
  readonly link: Link;
  /** False until the first answer. */
  readonly booted = signal(false);
  /** The snapshots are older than they should be (seconds), 0: they are not. */
  readonly staleFor = signal(0);
  readonly log = signal<QueryAnswer["log"] | null>(null);
  /** Offset of the newest event that is known; not a signal, it moves all the time. */
  head = 0;
  private readonly clocks = new ClockBounds();
  private position: Position = { epoch: "", offset: 0 };
  private readonly resources = new Map<string, Resource<unknown>>();
  private readonly feeds = new Map<string, FeedStore>();
  private readonly listeners = new Map<string, FeedStore[]>();
  private readonly followed = new Set<string>();
  private readonly boards = new Map<string, BoardStore>();
  private patterns: Record<string, readonly string[]> = {};
  private ends: (() => void)[] = [];
  private began = false;

  constructor(readonly boot: Boot) {
    const address = `${location.origin.replace(/^http/, "ws")}/connection/websocket?page=live`;
    this.link = new Link(
      {
        first: (heard) => new CentrifugeTransport(address, heard),
        second: (heard) => new SseTransport((channel) => this.patterns[channel] ?? ["*"], heard),
        reachable: () => this.api.get("/health/live").then(() => true, () => false),
      },
      () => Date.now() / 1000,
      () => this.begin(),
    );
    this.painter.painted = this.latency.painted;
  }

  start(): void {
    this.link.connect();
    setInterval(() => this.beat(), 1000);
    document.addEventListener("visibilitychange", this.painter.touch);
  }

  /** Whether an address is served; parts of the platform may be switched off or older. */
  serves(path: string): boolean {
    const [plain = ""] = path.split("?");
    return !/^\/(api\/v2|analytics|sources)\b/.test(plain) || this.boot.paths.includes(plain);
  }

  /** An answer that is asked for while somebody looks; the same for all who ask the same. */
  resource<T>(path: string, every: number): Resource<T> {
    let known = this.resources.get(path);
    if (!known) {
      known = new Resource<unknown>(this.api, path, every, this.serves(path), () => document.hidden || this.link.state.value === "lost");
      this.resources.set(path, known);
    }
    return known as Resource<T>;
  }

  /** Addresses whose first answer somebody has waited for longer than `seconds`, each once. */
  late(seconds: number): string[] {
    const paths = [...this.resources.values()].filter((each) => each.late(seconds)).map((each) => each.path);
    return [...new Set([...paths, ...this.api.late(seconds)].map((path) => path.split("?")[0] ?? ""))];
  }

  /** The latest events of a channel; followed from the first that asks on. */
  feed(channel: string, types: readonly string[] = []): FeedStore {
    const key = `${channel} ${types.join(",")}`;
    let known = this.feeds.get(key);
    if (!known) {
      known = new FeedStore(() => Date.now() / 1000, types);
      this.feeds.set(key, known);
      this.listeners.set(channel, [...(this.listeners.get(channel) ?? []), known]);
      if (this.booted.peek()) void this.fill(channel, known);
    }
    return known;
  }

  board(name: string): BoardStore {
    let known = this.boards.get(name);
    if (!known) {
      known = new BoardStore(name, this.api, this.painter.touch);
      this.boards.set(name, known);
      if (this.boards.size === 1 && this.booted.value) this.followBoards();
    }
    return known;
  }

  /** Names of all channels. */
  channels(): string[] {
    return Object.keys(this.patterns);
  }

  /** Seconds since the newest snapshot, NaN when there was none. */
  age(): number {
    return this.moment.now() - this.metrics.latestAt;
  }

  private async begin(): Promise<void> {
    if (this.booted.value) return;
    // The first answer may have been written before this script ran: index.html asks for it.
    const asked = this.began ? Date.now() / 1000 : performance.timeOrigin / 1000;
    this.began = true;
    const [answer, streams] = await Promise.all([
      this.api.get<QueryAnswer>(SEED),
      this.api.get<{ channels: Record<string, { types: string[] }> }>(STREAMS).catch(() => ({ channels: {} })),
    ]);
    this.tells(asked, answer.now);
    this.patterns = Object.fromEntries(Object.entries(streams.channels).map(([name, { types }]) => [name, types]));
    this.seed(answer);
    this.followAll();
    this.booted.value = true;
    this.painter.touch();
    void this.setClock();
  }

  /** The clock of the service, from a few answers. */
  private async setClock(): Promise<void> {
    for (let count = 0; count < 4; count += 1) {
      const asked = Date.now() / 1000;
      const answer = await this.api.get<{ timestamp: string }>("/health").catch(() => null);
      if (answer) this.tells(asked, parsed(answer.timestamp));
    }
  }

  private tells(asked: number, server: number): void {
    this.clocks.take(asked, Date.now() / 1000, server);
    this.moment.shift = this.clocks.shift;
  }

  private seed(answer: QueryAnswer): void {
    const [metrics] = answer.answers;
    if (metrics?.series) this.metrics.seed(metrics);
    this.alerts.replace(answer.alerts, answer.spine.spans);
    this.log.value = answer.log;
    this.head = answer.position;
    this.position = { epoch: answer.epoch, offset: answer.position };
  }

  private followAll(): void {
    for (const end of this.ends) end();
    this.ends = [
      this.link.follow("metrics_updates", this.position, this.follower((event) => this.metrics.take(event))),
      this.link.follow("system_alerts", this.position, this.follower((event) => this.tell("system_alerts", event, () => this.alerts.take(event)))),
    ];
    this.followed.clear();
    this.followed.add("system_alerts");
    for (const [channel, feeds] of this.listeners) for (const feed of feeds) void this.fill(channel, feed);
    if (this.boards.size) this.followBoards();
  }

  private followBoards(): void {
    const take = (event: LogEvent) => this.boards.get(event.subject ?? "")?.take(event);
    this.ends.push(this.link.follow("dashboard_updates", this.position, this.follower(take)));
  }

  /** What comes on a channel goes to all who listen to it; it is followed once. */
  private tell(channel: string, event: LogEvent, first?: () => void): void {
    first?.();
    for (const feed of this.listeners.get(channel) ?? []) feed.take(event);
  }

  private async fill(channel: string, feed: FeedStore): Promise<void> {
    if (!this.followed.has(channel)) {
      this.followed.add(channel);
      this.ends.push(this.link.follow(channel, this.position, this.follower((event) => this.tell(channel, event))));
    }
    // Without its past the feed begins with what comes next.
    const events = await (feed.types.length ? this.latest(feed.types) : this.newest(channel)).catch(() => []);
    feed.seed(events);
    this.painter.touch();
  }

  private async newest(channel: string): Promise<LogEvent[]> {
    const { result } = await this.api.awaiting("/api/history", this.api.post<History>("/api/history", { channel, limit: 100, reverse: true }));
    return (result?.publications ?? []).map(({ data, offset }) => ({ ...data, offset }));
  }

  private async latest(types: readonly string[]): Promise<LogEvent[]> {
    const answer = await this.api.first<QueryAnswer>(`/dashboards/query?table=events:${types.join(",")}[50]`);
    return answer.answers[0]?.events ?? [];
  }

  private follower(take: (event: LogEvent) => unknown): Follower {
    const event = (each: LogEvent) => {
      this.head = Math.max(this.head, each.offset);
      this.latency.taken(parsed(each.time));
      take(each);
      this.painter.touch();
    };
    return { event, reset: () => this.again() };
  }

  /** The log is another one, or no longer has our place: begin anew. */
  private again(): void {
    this.booted.value = false;
    this.head = 0;
    this.link.retry();
  }

  /** Each second: time moves on, data grows old. */
  private beat(): void {
    const age = this.age();
    const late = age > 2 * this.metrics.tick + 1;
    const stale = this.booted.value && this.link.state.value === "open" && late ? Math.round(age) : 0;
    if (stale !== this.staleFor.value) this.staleFor.value = stale;
    this.painter.touch();
  }
}
