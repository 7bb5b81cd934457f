// The latest events of a channel, newest first; at most 30 new lines a second, the rest is counted.

import { type LogEvent, matches } from "./events";

export const MOST_LINES = 400;
const LINES_A_SECOND = 30;

export class FeedStore {
  /** Newest first. */
  lines: LogEvent[] = [];
  version = 0;
  /** Events that came, shown or not. */
  total = 0;
  /** One in so many is shown. */
  sampled = 1;
  private second = 0;
  private inSecond = 0;
  private rates: number[] = [];

  /** Types that are wanted; empty: all of the channel. */
  constructor(private readonly now: () => number, readonly types: readonly string[] = []) {}

  /** What was before; joined with what has come meanwhile. */
  seed(events: readonly LogEvent[]): void {
    const known = new Map([...events, ...this.lines].map((event) => [event.offset, event]));
    this.lines = [...known.values()].sort((left, right) => right.offset - left.offset).slice(0, MOST_LINES);
    this.version += 1;
  }

  clear(): void {
    this.lines = [];
    this.version += 1;
  }

  take(event: LogEvent): void {
    if (this.types.length && !matches(this.types, event.type)) return;
    this.total += 1;
    this.count();
    const known = this.lines[0];
    if (known && event.offset <= known.offset) return;
    if (this.inSecond > LINES_A_SECOND && this.inSecond % this.sampled !== 0) return;
    this.lines.unshift(event);
    if (this.lines.length > MOST_LINES) this.lines.length = MOST_LINES;
    this.version += 1;
  }

  /** Events a second over the last five whole seconds. */
  rate(): number {
    return this.rates.length ? this.rates.reduce((sum, each) => sum + each, 0) / this.rates.length : this.inSecond;
  }

  private count(): void {
    const second = Math.floor(this.now());
    if (second !== this.second) {
      if (this.second) this.rates = [...this.rates, this.inSecond].slice(-5);
      this.sampled = Math.max(1, Math.ceil(this.inSecond / LINES_A_SECOND));
      this.second = second;
      this.inSecond = 0;
    }
    this.inSecond += 1;
  }
}
