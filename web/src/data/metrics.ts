// Metrics as the snapshots bring them: a ring of the last hour, the latest groups and windows.

import { isSnapshot, type Group, type LogEvent, type Snapshot } from "./events";
import { SeriesRing } from "./ring";

/** Enough for an hour at four snapshots a second. */
const CAPACITY = 14_400;

export interface SeriesAnswer {
  start: number;
  step: number;
  series: Record<string, (number | null)[]>;
}

export class MetricStore {
  readonly ring = new SeriesRing(CAPACITY);
  units: Record<string, string> = {};
  latest: Snapshot | null = null;
  latestAt = Number.NaN;
  tick = 1;
  /** What was there at the start came in steps of so many seconds, up to this time; since then each snapshot is here. */
  seeded = { step: 0, until: Number.NEGATIVE_INFINITY };
  /** Stretches in which no snapshot came, oldest first: from the last before to the first behind (unix seconds). */
  readonly gaps: [from: number, to: number][] = [];
  /** Grows with each change. */
  version = 0;

  /** What was before the page was opened; replaces everything. */
  seed({ start, step, series }: SeriesAnswer): void {
    this.ring.clear();
    this.gaps.length = 0;
    this.latest = null;
    this.latestAt = Number.NaN;
    this.seeded = { step, until: Number.NEGATIVE_INFINITY };
    const length = Math.max(0, ...Object.values(series).map((values) => values.length));
    for (let index = 0; index < length; index += 1) {
      const values = Object.fromEntries(Object.entries(series).map(([name, column]) => [name, column[index] ?? null]));
      if (Object.values(values).some((value) => value !== null)) this.push(start + (index + 1) * step - 1, values);
    }
    this.seeded = { step, until: start + length * step };
    this.version += 1;
  }

  /** Take an `analytics.snapshot`; false when it is none. */
  take(event: LogEvent): boolean {
    if (!isSnapshot(event.data)) return false;
    const snapshot = event.data;
    const at = Date.parse(snapshot.at) / 1000;
    if (!(at >= this.latestAt) && !Number.isNaN(this.latestAt)) return false;
    this.push(at, snapshot.metrics);
    this.latest = snapshot;
    this.latestAt = at;
    this.units = snapshot.units ?? this.units;
    this.tick = snapshot.tick_s ?? this.tick;
    this.version += 1;
    return true;
  }

  /** The value in force at a time: of the last snapshot at or before it. NaN: not known. */
  at(name: string, time: number): number {
    return this.ring.value(name, this.ring.before(time));
  }

  /** Since when nothing came, NaN while it comes as it should. Until the first snapshot, the newest value may be as old as a step of what was asked for. */
  silentSince(now: number): number {
    const late = Math.max(5, 3 * this.tick) + (Number.isNaN(this.latestAt) ? this.seeded.step : 0);
    return now - this.ring.newest > late ? this.ring.newest : Number.NaN;
  }

  private push(at: number, values: Readonly<Record<string, number | null>>): void {
    const since = this.silentSince(at);
    if (!Number.isNaN(since)) this.gaps.push([since, at]);
    while ((this.gaps[0]?.[1] ?? Infinity) < this.ring.oldest) this.gaps.shift();
    this.ring.push(at, values);
  }

  /** Whether a metric is one of analytics' own, of which history is kept; others are only passed on in the snapshot. */
  declared(name: string): boolean {
    return Object.values(this.latest?.windows ?? {}).some((values) => name in values);
  }

  groups(name: string): readonly Group[] {
    return this.latest?.groups?.[name] ?? [];
  }

  /** Mean over a stretch, NaN when nothing is known. */
  mean(name: string, from: number, to: number): number {
    return this.ring.mean(name, this.ring.between(from, to));
  }
}
