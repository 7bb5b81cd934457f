// The connection of the page: lost, it tries again after 1, 2, 4, then every 5 seconds, and says when.

import { signal } from "@preact/signals";
import type { Follower, Heard, Position, Transport } from "./transport";

export type LinkState = "connecting" | "open" | "lost";

const DELAYS = [1, 2, 4, 5];
/** Tries after which the other transport has its turn, while plain HTTP is answered. */
const PATIENCE = 2;

interface Wish {
  channel: string;
  from: Position;
  follower: Follower;
  end: () => void;
}

export interface Ways {
  first(heard: Heard): Transport;
  second(heard: Heard): Transport;
  /** Whether plain HTTP is answered. */
  reachable(): Promise<boolean>;
}

export class Link {
  readonly state = signal<LinkState>("connecting");
  /** Local unix seconds. */
  readonly lostAt = signal(0);
  readonly nextTry = signal(0);
  readonly reason = signal("");
  /** Tries in a row that failed. */
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly wishes = new Set<Wish>();
  private transport: Transport;
  private onSecond = false;

  /** Each try asks `ready` too, and where that fails, the try has failed. */
  constructor(private readonly ways: Ways, private readonly now: () => number, private readonly ready: () => Promise<void>) {
    this.transport = this.made(ways.first);
  }

  get name(): string {
    return this.transport.name;
  }

  connect(): void {
    void this.reach();
  }

  follow(channel: string, from: Position, follower: Follower): () => void {
    const wish: Wish = { channel, from: { ...from }, follower, end: () => {} };
    this.wishes.add(wish);
    this.begin(wish);
    return () => {
      this.wishes.delete(wish);
      wish.end();
    };
  }

  /** Try now, whatever the next try was. */
  retry(): void {
    clearTimeout(this.timer);
    this.plan();
    void this.reach();
  }

  private async reach(): Promise<void> {
    // While nothing is followed, what was before is asked for and the connection made side by side. What is followed may have
    // to begin elsewhere: then the one waits for the other.
    const first = !this.wishes.size;
    if (first) this.again();
    try {
      await this.ready();
    } catch (error) {
      if (first) this.transport.disconnect();
      this.lost((error as Error).message);
      return;
    }
    if (!first) this.again();
  }

  private again(): void {
    this.transport.disconnect();
    this.transport.connect();
  }

  private begin(wish: Wish): void {
    const follower: Follower = {
      event: (event) => {
        wish.from.offset = event.offset;
        wish.follower.event(event);
      },
      reset: () => wish.follower.reset(),
    };
    wish.end = this.transport.follow(wish.channel, wish.from, follower);
  }

  /** What an abandoned transport still says is not heard. */
  private made(way: (heard: Heard) => Transport): Transport {
    const current = () => made === this.transport;
    const made: Transport = way({ opened: () => current() && this.opened(), lost: (reason) => current() && this.lost(reason) });
    return made;
  }

  private opened(): void {
    clearTimeout(this.timer);
    this.tries = 0;
    this.state.value = "open";
  }

  private lost(reason: string): void {
    if (this.state.value !== "lost") this.lostAt.value = this.now();
    this.state.value = "lost";
    this.reason.value = reason;
    if (this.nextTry.value <= this.now()) this.plan();
  }

  private plan(): void {
    clearTimeout(this.timer);
    const delay = DELAYS[Math.min(this.tries++, DELAYS.length - 1)] as number;
    this.nextTry.value = this.now() + delay;
    this.timer = setTimeout(() => void this.attempt(), delay * 1000);
  }

  private async attempt(): Promise<void> {
    if (this.state.value === "open") return;
    if (this.tries > PATIENCE && !this.onSecond && (await this.ways.reachable())) this.change();
    this.retry();
  }

  private change(): void {
    this.onSecond = true;
    this.transport.disconnect();
    this.transport = this.made(this.ways.second);
    for (const wish of this.wishes) this.begin(wish);
  }
}
