// Series of times that the live ring does not hold: asked for once, kept by question.

import type { Api } from "./api";
import type { SeriesAnswer } from "./metrics";

export interface Past extends SeriesAnswer {
  state: "loading" | "ready" | "failed";
  error: string;
}

const KEPT = 48;

export class HistoryStore {
  private readonly kept = new Map<string, Past>();
  version = 0;

  constructor(private readonly api: Api, private readonly changed: () => void, private readonly served: () => boolean = () => true) {}

  /** Values of metrics between two times (unix seconds) in steps; `ready` once they are here. */
  range(names: readonly string[], from: number, to: number, step: number): Past {
    const start = Math.floor(from / step) * step;
    const end = Math.ceil(to / step) * step;
    const key = `${names.join(",")} ${start} ${end} ${step}`;
    let known = this.kept.get(key);
    if (!known) {
      known = { state: "loading", error: "", start, step, series: {} };
      this.keep(key, known);
      if (this.served()) void this.load(known, names, start, end);
      else known.state = "failed";
    }
    return known;
  }

  private keep(key: string, past: Past): void {
    this.kept.set(key, past);
    const oldest = this.kept.keys().next().value;
    if (this.kept.size > KEPT && oldest !== undefined) this.kept.delete(oldest);
  }

  private async load(past: Past, names: readonly string[], from: number, to: number): Promise<void> {
    try {
      const answers = await Promise.all(names.map((name) => this.api.first<unknown>(address(name, from, to, past.step))));
      names.forEach((name, index) => Object.assign(past.series, seriesOf(answers[index], name, past)));
      past.state = "ready";
    } catch (error) {
      past.state = "failed";
      past.error = (error as Error).message;
    }
    this.version += 1;
    this.changed();
  }
}

function address(metric: string, from: number, to: number, step: number): string {
  const query = new URLSearchParams({ metric, from: String(from), to: String(to), step: String(step) });
  return `/analytics/range?${query}`;
}

interface RangeAnswer {
  kind: string;
  step_s: number;
  times: number[];
  series: { labels: Record<string, string>; values: (number | null)[] }[];
}

/** The snapshots' own window, in seconds: what a sum or a count in them is over. */
const WINDOW = 60;

/** The answer as a column on our own grid; the service may have taken a coarser step than was asked for. */
function seriesOf(answer: unknown, name: string, { start, step }: Past): Record<string, (number | null)[]> {
  const { kind, step_s: width, times = [], series = [] } = answer as RangeAnswer;
  const values = series.find(({ labels }) => !Object.keys(labels).length)?.values ?? [];
  const factor = kind === "sum" || kind === "count" ? WINDOW / width : 1;
  const column: (number | null)[] = [];
  times.forEach((at, index) => {
    const value = values[index] ?? null;
    const first = Math.round((at - start) / step);
    for (let place = Math.max(0, first); place < first + Math.max(1, Math.round(width / step)); place += 1) column[place] = value === null ? null : value * factor;
  });
  return { [name]: Array.from(column, (value) => value ?? null) };
}
