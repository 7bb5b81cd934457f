// Spend of a month: what was, day by day, and where it goes. Days are those of UTC, as the platform keeps them.

import type { Expected } from "../../charts/BandChart";

export interface DayCost {
  /** "2026-11-29" */
  day: string;
  cost_usd: number | null;
}

export interface Spend {
  from: number;
  to: number;
  /** Sum up to the end of each day, from the first that is known; the last point is now. */
  past: [number, number][];
  ahead: Expected[];
  /** The month before, laid over this one. */
  before: [number, number][];
  /** Days whose spread makes the band. */
  known: number;
}

const DAY = 86400;
/** Whole days that a band needs. */
export const LEAST_DAYS = 7;
/** Of a normal spread, 8 of 10 outcomes lie within so many standard deviations. */
const EIGHT_OF_TEN = 1.2816;

/** `projected`: the month's end as the platform expects it. `now`: unix seconds. */
export function spendOf(days: readonly DayCost[], today: number | null, projected: { day: number | null; month: number | null }, now: number): Spend {
  const date = new Date(now * 1000);
  const [from, to] = [monthStart(date, 0), monthStart(date, 1)];
  const spent = summed(days, from, now, today);
  const sum = spent.at(-1)?.[1] ?? 0;
  const begun = Math.floor(now / DAY) * DAY;
  const whole = days.filter((each) => start(each) < begun && each.cost_usd).slice(-28).map((each) => each.cost_usd as number);
  return { from, to, past: spent, ahead: expected(sum, today ?? 0, projected, now, to, deviation(whole)), before: shifted(days, monthStart(date, -1), from), known: whole.length };
}

function summed(days: readonly DayCost[], from: number, now: number, today: number | null): [number, number][] {
  const begun = Math.floor(now / DAY) * DAY;
  const points: [number, number][] = [[Math.max(from, Math.min(begun, ...days.map(start))), 0]];
  let sum = 0;
  // A day without an entry cost nothing: the line goes on level, and rises within the day that did.
  const level = (at: number) => (points.at(-1) as [number, number])[0] < at && points.push([at, sum]);
  for (const each of inMonth(days, from, begun)) {
    level(start(each));
    sum += each.cost_usd ?? 0;
    points.push([start(each) + DAY, sum]);
  }
  level(begun);
  points.push([now, sum + (today ?? 0)]);
  return points;
}

function expected(sum: number, today: number, projected: { day: number | null; month: number | null }, now: number, to: number, spread: number | null): Expected[] {
  if (projected.month === null || projected.day === null) return [];
  const tonight = (Math.floor(now / DAY) + 1) * DAY;
  const evening = sum - today + projected.day;
  const left = Math.round((to - tonight) / DAY);
  const rate = left > 0 ? (projected.month - evening) / left : 0;
  return Array.from({ length: left + 1 }, (_, index) => {
    const value = evening + rate * index;
    // Days differ independently of one another: the spread of their sum grows with the root of their number.
    const wide = spread === null ? null : EIGHT_OF_TEN * spread * Math.sqrt(index + (tonight - now) / DAY);
    return { at: tonight + index * DAY, value, lower: wide === null ? null : Math.max(sum, value - wide), upper: wide === null ? null : value + wide };
  });
}

/** Standard deviation of the days; null while too few are known. */
function deviation(days: readonly number[]): number | null {
  if (days.length < LEAST_DAYS) return null;
  const mean = days.reduce((all, each) => all + each, 0) / days.length;
  return Math.sqrt(days.reduce((all, each) => all + (each - mean) ** 2, 0) / (days.length - 1));
}

function shifted(days: readonly DayCost[], from: number, to: number): [number, number][] {
  const points: [number, number][] = [];
  let sum = 0;
  for (const each of inMonth(days, from, to)) points.push([start(each) + DAY - from + to, (sum += each.cost_usd ?? 0)]);
  return points;
}

function inMonth(days: readonly DayCost[], from: number, to: number): DayCost[] {
  return days.filter((each) => start(each) >= from && start(each) < to).sort((left, right) => start(left) - start(right));
}

function start(each: DayCost): number {
  return Date.parse(`${each.day}T00:00:00Z`) / 1000;
}

function monthStart(date: Date, months: number): number {
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1) / 1000;
}

/** When a curve reaches a limit, by straight lines between its points; null when it does not. */
export function reached(points: readonly (readonly [number, number])[], limit: number): number | null {
  for (let index = 1; index < points.length; index += 1) {
    const [[before, low], [after, high]] = [points[index - 1] as readonly [number, number], points[index] as readonly [number, number]];
    if (high >= limit) return high === low ? after : before + ((Math.max(limit, low) - low) / (high - low)) * (after - before);
  }
  return null;
}
