// From event to screen: the server's time of an event against the moment its frame was painted.

const KEPT = 512;

/** Run after the frame that is being made has been given to the screen: a task behind it, not a step of it. */
export function afterFrame(run: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => (port1.close(), run());
  port2.postMessage(null);
}

export class Latency {
  private readonly kept = new Float64Array(KEPT);
  private waiting: number[] = [];
  private next = 0;
  count = 0;

  constructor(private readonly now: () => number, private readonly after: (run: () => void) => void = afterFrame) {}

  /** An event of this time (unix seconds, server) is in the stores. */
  taken(at: number): void {
    if (!Number.isNaN(at) && this.waiting.length < KEPT) this.waiting.push(at);
  }

  /** Everything that was taken is in the frame that is being made. */
  painted = (): void => {
    const shown = this.waiting;
    this.waiting = [];
    if (shown.length) this.after(() => this.keep(shown));
  };

  private keep(shown: readonly number[]): void {
    const now = this.now();
    for (const at of shown) {
      // What was recovered after an outage is old by itself and says nothing about the way here.
      if (now - at > 5 || now < at) continue;
      this.kept[this.next] = now - at;
      this.next = (this.next + 1) % KEPT;
      this.count = Math.min(KEPT, this.count + 1);
    }
  }

  /** Seconds; NaN before the first. */
  quantile(share: number): number {
    if (!this.count) return Number.NaN;
    const sorted = this.kept.slice(0, this.count).sort();
    return sorted[Math.min(this.count - 1, Math.floor(share * this.count))] as number;
  }
}
