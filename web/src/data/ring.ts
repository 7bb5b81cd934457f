// Series in typed arrays: one column of times, one column of values for each name. Nothing is allocated as values come.

/** Places `from` up to, not including, `to` within a ring, oldest first. */
export interface Stretch {
  from: number;
  to: number;
}

export class SeriesRing {
  private times: Float64Array;
  private readonly columns = new Map<string, Float64Array>();
  private start = 0;
  private count = 0;

  /** `capacity`: how many points are kept; the oldest leave. */
  constructor(readonly capacity: number) {
    this.times = new Float64Array(capacity);
  }

  get length(): number {
    return this.count;
  }

  /** Time of the newest point, NaN when there is none. */
  get newest(): number {
    return this.count ? this.time(this.count - 1) : Number.NaN;
  }

  get oldest(): number {
    return this.count ? this.time(0) : Number.NaN;
  }

  names(): string[] {
    return [...this.columns.keys()];
  }

  has(name: string): boolean {
    return this.columns.has(name);
  }

  /** Take values of one moment (unix seconds). A moment that was there is replaced, an older one is passed over. */
  push(at: number, values: Readonly<Record<string, number | null | undefined>>): boolean {
    if (this.count && at < this.newest) return false;
    const slot = this.count && at === this.newest ? this.slot(this.count - 1) : this.advance(at);
    for (const name of Object.keys(values)) if (!this.columns.has(name)) this.columns.set(name, nothing(this.capacity));
    for (const [name, column] of this.columns) column[slot] = values[name] ?? Number.NaN;
    return true;
  }

  clear(): void {
    this.start = this.count = 0;
  }

  time(index: number): number {
    return this.times[this.slot(index)] as number;
  }

  value(name: string, index: number): number {
    const column = index >= 0 && index < this.count ? this.columns.get(name) : undefined;
    return column ? (column[this.slot(index)] as number) : Number.NaN;
  }

  /** The points with `from` <= time <= `to`. */
  between(from: number, to: number): Stretch {
    return { from: this.first(from), to: this.first(to + 1e-9) };
  }

  /** The last point at or before `at`, -1 when there is none. */
  before(at: number): number {
    return this.first(at + 1e-9) - 1;
  }

  /** The first point at or after `at`, from the place `low` on; the length when there is none. */
  first(at: number, low = 0): number {
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time(middle) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Mean of what is known in a stretch, NaN when nothing is. */
  mean(name: string, { from, to }: Stretch): number {
    const column = this.columns.get(name);
    let sum = 0;
    let count = 0;
    for (let index = from; column && index < to; index += 1) {
      const value = column[this.slot(index)] as number;
      if (Number.isNaN(value)) continue;
      sum += value;
      count += 1;
    }
    return count ? sum / count : Number.NaN;
  }

  private slot(index: number): number {
    const slot = this.start + index;
    return slot < this.capacity ? slot : slot - this.capacity;
  }

  private advance(at: number): number {
    if (this.count < this.capacity) this.count += 1;
    else this.start = (this.start + 1) % this.capacity;
    const slot = this.slot(this.count - 1);
    this.times[slot] = at;
    return slot;
  }
}

function nothing(length: number): Float64Array {
  return new Float64Array(length).fill(Number.NaN);
}
