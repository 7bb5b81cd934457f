// One animation frame paints what changed. Nothing is painted while the page is hidden.

export type Paint = () => void;

export interface Frames {
  request(run: () => void): void;
  now(): number;
  hidden(): boolean;
}

export const browserFrames: Frames = {
  request: (run) => void requestAnimationFrame(run),
  now: () => performance.now(),
  hidden: () => document.hidden,
};

export class Painter {
  private readonly paints = new Set<Paint>();
  private asked = false;
  /** Frames painted, and milliseconds that painting took. */
  frames = 0;
  spent = 0;
  /** Called after each frame: what was in the stores is on the screen now. */
  painted: () => void = () => {};

  constructor(private readonly clock: Frames = browserFrames) {}

  /** Paint with each frame in which something changed; the answer ends it. */
  add(paint: Paint): () => void {
    this.paints.add(paint);
    this.touch();
    return () => this.paints.delete(paint);
  }

  /** Something changed: there is a frame to come. */
  touch = (): void => {
    if (this.asked || this.clock.hidden()) return;
    this.asked = true;
    this.clock.request(this.frame);
  };

  private readonly frame = (): void => {
    this.asked = false;
    const began = this.clock.now();
    for (const paint of this.paints) paint();
    this.frames += 1;
    this.spent += this.clock.now() - began;
    this.painted();
  };
}
