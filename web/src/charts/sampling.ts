// From the ring (and from history, before it) to the points of a curve: closed steps, the last value of each.

import type { App } from "../data/app";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];
export const MOST_POINTS = 240;

/** The step of a span: at most MOST_POINTS of them, and not finer than values that are `coarse` seconds apart. */
export function stepOf(span: number, tick = 1, coarse = 0): number {
  const least = Math.max(span / MOST_POINTS, coarse, tick < 1 && span <= 60 ? tick : 1);
  return STEPS.find((each) => each >= least) ?? 86400;
}

export class Sampled {
  readonly x: number[] = [];
  readonly y: (number | null)[][];
  /** The last known value of each series. */
  readonly last: number[];
  /** Whether a part of it is still asked for. */
  waits = false;

  constructor(readonly series: number) {
    this.y = Array.from({ length: series }, () => []);
    this.last = new Array<number>(series).fill(Number.NaN);
  }
}

/** A metric at the end of what is looked at: of the ring, or of the history of a range that the ring does not hold. NaN: not known. */
export function valueAtEnd(app: App, metric: string): number {
  const { moment, metrics } = app;
  const value = metrics.at(metric, moment.end());
  if (!Number.isNaN(value) || moment.mode.value !== "past") return value;
  const points = new Sampled(1);
  sample(app, [metric], [1], moment.start(), moment.end(), points);
  return points.last[0] as number;
}

/** Fill `into` with the values of metrics from `from` to `to`; a step without a value is null, never joined, never 0. */
export function sample(app: App, names: readonly string[], scales: readonly number[], from: number, to: number, into: Sampled, until = to): void {
  const ring = app.metrics.ring;
  const { seeded, tick } = app.metrics;
  // Where values are further apart than the curve's steps, steps between them are no gaps.
  const coarse = from < seeded.until && to > ring.oldest ? seeded.step : 0;
  const step = stepOf(to - from, tick, coarse);
  const first = Math.floor(from / step) * step;
  const closed = Math.max(0, Math.floor((until - first) / step));
  const kept = names.filter((name) => app.metrics.declared(name));
  const past = kept.length && (first < ring.oldest - step || Number.isNaN(ring.oldest)) ? app.history.range(kept, first, first + closed * step, step) : null;
  into.waits = past?.state === "loading";
  into.last.fill(Number.NaN);
  let index = ring.first(first);
  let count = 0;
  for (let number = 0; number <= closed; number += 1) {
    const begin = first + number * step;
    const end = number === closed ? until : begin + step;
    const next = ring.first(end, index);
    const newest = next > index ? next - 1 : -1;
    index = next;
    if (number === closed && newest < 0) break;
    // Where what was there meets what came live, a step may fall between the two: that is no gap.
    if (newest < 0 && coarse && Math.abs(begin - seeded.until) <= step) continue;
    into.x[count] = number === closed ? ring.time(newest) : end;
    names.forEach((name, column) => {
      const value = newest >= 0 ? ring.value(name, newest) : (past?.series[name]?.[number] ?? Number.NaN);
      (into.y[column] as (number | null)[])[count] = Number.isNaN(value) ? null : value * (scales[column] ?? 1);
      if (!Number.isNaN(value)) into.last[column] = value * (scales[column] ?? 1);
    });
    count += 1;
  }
  into.x.length = count;
  for (const column of into.y) column.length = count;
}

/** Places of the values that have none before and none behind them; null: there are none. */
export function lonely(column: ArrayLike<number | null | undefined>): number[] | null {
  const found: number[] = [];
  for (let index = 0; index < column.length; index += 1) if (column[index] != null && column[index - 1] == null && column[index + 1] == null) found.push(index);
  return found.length ? found : null;
}
