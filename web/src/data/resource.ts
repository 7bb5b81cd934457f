// An answer of the service that is asked for again as long as somebody looks at it.

import { type Signal, signal } from "@preact/signals";
import { type Api, Refusal } from "./api";

export type State = "loading" | "ready" | "absent" | "failed";

export interface Answer<T> {
  state: State;
  /** The last good answer; stays when a later one fails. */
  data: T | null;
  /** Local unix seconds of the last good answer. */
  at: number;
  /** What the service said when it refused. */
  error: string;
}

export class Resource<T> {
  readonly answer: Signal<Answer<T>> = signal({ state: "loading", data: null, at: 0, error: "" });
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watchers = 0;
  /** Local unix seconds since when somebody looks. */
  private watched = 0;

  /** `every`: seconds between two questions. `served` false: it is not there, and nobody asks. `rests`: nobody looks, or nobody would answer. */
  constructor(private readonly api: Api, readonly path: string, private readonly every: number, private readonly served = true, private readonly rests: () => boolean = () => document.hidden) {}

  /** Ask as long as the answer of this was not called. */
  watch(): () => void {
    if (this.watchers++ === 0) {
      this.watched = Date.now() / 1000;
      void this.ask();
    }
    return () => {
      this.watchers -= 1;
      if (this.watchers === 0) clearTimeout(this.timer);
    };
  }

  /** Whether somebody has waited longer than `seconds` for the first answer. */
  late(seconds: number): boolean {
    return this.watchers > 0 && this.answer.value.state === "loading" && Date.now() / 1000 - this.watched > seconds;
  }

  /** Ask now. */
  async ask(): Promise<void> {
    clearTimeout(this.timer);
    if (!this.served) {
      if (this.answer.value.state !== "absent") this.answer.value = { ...this.answer.value, state: "absent" };
      return;
    }
    if (!this.rests() || this.answer.value.state === "loading") await this.load();
    if (this.watchers > 0) this.timer = setTimeout(() => void this.ask(), this.every * 1000);
  }

  private async load(): Promise<void> {
    try {
      const data = await this.api.get<T>(this.path);
      this.answer.value = { state: "ready", data, at: Date.now() / 1000, error: "" };
    } catch (error) {
      const absent = error instanceof Refusal && error.absent;
      this.answer.value = { ...this.answer.value, state: absent ? "absent" : "failed", error: (error as Error).message };
    }
  }
}
