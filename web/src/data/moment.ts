// What time the page looks at: live, paused (the head walks on), or a past range. Unix seconds throughout.

import { computed, signal } from "@preact/signals";

export type Mode = "live" | "paused" | "past";
/** What stands beside a past range. */
export type Compare = "now" | "yesterday" | "off";
export const COMPARES: readonly Compare[] = ["now", "yesterday", "off"];
const DAY = 86400;

export const RANGES: readonly (readonly [string, number])[] = [["15 m", 900], ["1 h", 3600], ["6 h", 21600], ["24 h", 86400], ["7 d", 604800]];

/** "1 h", or the length in minutes of a range that has no name. */
export function rangeName(span: number): string {
  return RANGES.find(([, seconds]) => seconds === span)?.[0] ?? `${Math.round(span / 60)} min`;
}

export class Moment {
  readonly mode = signal<Mode>("live");
  /** Seconds that are shown. */
  readonly span = signal(3600);
  /** Where the range ends when it does not move. */
  readonly fixed = signal(0);
  /** Offset of the head when the page was paused. */
  readonly pausedAt = signal(0);
  readonly compare = signal<Compare>("now");
  readonly moves = computed(() => this.mode.value === "live");
  /** Server minus local clock, seconds. */
  shift = 0;

  constructor(private readonly local: () => number) {}

  /** Now, by the clock of the server. */
  now(): number {
    return this.local() + this.shift;
  }

  end(): number {
    return this.mode.value === "live" ? this.now() : this.fixed.value;
  }

  start(): number {
    return this.end() - this.span.value;
  }

  /** Seconds from what is shown to what it is compared with; 0: with nothing. "Now" moves on by whole steps of a curve. */
  compared(): number {
    if (this.mode.value !== "past" || this.compare.value === "off") return 0;
    if (this.compare.value === "yesterday") return -DAY;
    const step = Math.max(1, this.span.value / 240);
    return Math.floor((this.now() - this.fixed.value) / step) * step;
  }

  pause(offset: number): void {
    if (this.mode.value !== "live") return;
    this.fixed.value = this.now();
    this.pausedAt.value = offset;
    this.mode.value = "paused";
  }

  live(): void {
    this.mode.value = "live";
  }

  /** Look at a past range; one that reaches the present is live again. */
  look(from: number, to: number): void {
    const least = Math.max(60, to - from);
    if (to >= this.now() - 1) {
      this.span.value = least;
      this.live();
      return;
    }
    this.fixed.value = to;
    this.span.value = least;
    this.mode.value = "past";
  }

  /** Move by a part of the range, back (negative) or forth. */
  step(part: number): void {
    const to = this.end() + part * this.span.value;
    this.look(to - this.span.value, to);
  }

  zoom(factor: number): void {
    const span = Math.min(604800 * 4, Math.max(60, this.span.value * factor));
    if (this.mode.value === "past") this.look(this.end() - span, this.end());
    else this.span.value = span;
  }
}
