// How far the clock of the service is from the viewer's: what each answer proves, and no more.

/** The service writes whole milliseconds. */
const GRAIN = 0.001;

/**
 * An answer was written between its question and its arrival: so the distance of the clocks lies between two bounds, and
 * several answers narrow them. Where they allow that there is none, there is none: clocks are kept, and on a busy machine
 * the middle of the bounds is as wrong as the answer was slow.
 */
export class ClockBounds {
  private least = Number.NEGATIVE_INFINITY;
  private most = Number.POSITIVE_INFINITY;

  /** An answer of `server` time, asked and arrived by the local clock; unix seconds. */
  take(asked: number, arrived: number, server: number): void {
    if (Number.isNaN(server)) return;
    const [least, most] = [server - arrived, server - asked + GRAIN];
    // Beyond what was known: one of the clocks was set.
    const anew = least > this.most || most < this.least;
    this.least = anew ? least : Math.max(this.least, least);
    this.most = anew ? most : Math.min(this.most, most);
  }

  /** Server minus local clock, seconds. */
  get shift(): number {
    if (this.least === Number.NEGATIVE_INFINITY || (this.least <= 0 && this.most >= 0)) return 0;
    return (this.least + this.most) / 2;
  }
}
