// A scale that grows at once and shrinks only after a minute below half: nothing jumps.

const SHRINKS_AFTER = 60;

export class CalmScale {
  private top = 0;
  private below = Number.NaN;

  /** The end of the axis for values up to `most`, at `now` (seconds). */
  fit(most: number, now: number, unit = ""): number {
    // A share of a whole ends at the whole.
    const wanted = unit === "%" && most <= 100 && most > 80 ? 100 : niceTop(most);
    if (wanted >= this.top || !this.top) {
      this.top = wanted;
      this.below = Number.NaN;
    } else if (most > this.top / 2) {
      this.below = Number.NaN;
    } else if (Number.isNaN(this.below)) {
      this.below = now;
    } else if (now - this.below >= SHRINKS_AFTER) {
      this.top = wanted;
      this.below = Number.NaN;
    }
    return this.top;
  }

  /** Another range is another scale. */
  forget(): void {
    this.top = 0;
    this.below = Number.NaN;
  }
}

/** What a scale has to reach for values up to `most`: a limit that is near is in sight, one far above is not. */
export function reaching(most: number, limit: number | undefined): number {
  return limit !== undefined && limit < most * 1.7 ? Math.max(most, limit * 1.02) : most;
}

/** The least of 1, 2, 2.5, 4, 5 times a power of ten above a value with some room; above nothing four, so that the lines below it are whole. */
export function niceTop(most: number): number {
  if (!(most > 0)) return 4;
  const power = 10 ** Math.floor(Math.log10(most * 1.08));
  const factor = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((each) => each * power >= most * 1.08) ?? 10;
  return factor * power;
}

/** The distance of gridlines: 1, 2 or 5 times a power of ten, so that their labels are short and exact. */
export function gridStep(top: number): number {
  const power = 10 ** Math.floor(Math.log10(top / 5));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => top / each <= 5.01) ?? top / 5;
}

/** Three to six places of gridlines up to the top, 0 among them. */
export function gridlines(top: number): number[] {
  const step = gridStep(top);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, index) => index * step);
}

/** Places of labels that would touch are moved apart, their order stays. Answers the tops. */
export function apart(wanted: readonly number[], height: number, bottom: number): number[] {
  const order = wanted.map((_, index) => index).sort((left, right) => (wanted[left] as number) - (wanted[right] as number));
  const placed = [...wanted];
  let least = 0;
  for (const index of order) {
    placed[index] = Math.max(placed[index] as number, least);
    least = (placed[index] as number) + height;
  }
  let most = bottom - height;
  for (const index of order.reverse()) {
    placed[index] = Math.min(placed[index] as number, most);
    most = (placed[index] as number) - height;
  }
  return placed;
}

/** Where a time lies on an axis from `left` to `right`; an axis without a length has everything at its left. */
export function timePlace(at: number, from: number, to: number, left: number, right: number): number {
  return left + ((at - from) / (to - from || 1)) * (right - left);
}
