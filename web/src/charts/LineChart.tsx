// Metrics over time. The component is made once; each frame moves its points on, outside of the component tree.

import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { useApp, usePaint } from "../frame/context";
import { exact, limitText, NONE, significant, valuedText } from "../format/number";
import { second } from "../format/time";
import { theme, type Token } from "../theme/theme";
import { type Line, makePlot, makeRoom, type Plot, stepCursor } from "./plot";
import { sample, Sampled } from "./sampling";
import { CalmScale, gridStep, reaching } from "./scale";
import { sizeOf } from "./size";

export interface LineSeries {
  metric: string;
  name?: string;
  colour?: Token;
  main?: boolean;
  fill?: boolean;
}

interface Props {
  title: string;
  series: readonly LineSeries[];
  unit?: string;
  /** Factor on every value. */
  scale?: number;
  limit?: number | undefined;
  /** Rule whose episodes are tinted. */
  rule?: string;
  /** Tint them; else an upright says when they began. */
  tinted?: boolean;
  low?: boolean;
  /** Said in the place of the curve while there is none. */
  nothing?: string;
}

const COLOURS: readonly Token[] = ["s1", "s2", "s3", "s4", "s5"];

export function LineChart({ title, series, unit = "", scale = 1, limit, rule, tinted = false, low, nothing = "No values in this range." }: Props) {
  const app = useApp();
  const host = useRef<HTMLDivElement>(null);
  const said = useRef<HTMLParagraphElement>(null);
  const heard = useRef<HTMLParagraphElement>(null);
  const held = useRef<Held | null>(null);
  const key = series.map((each) => each.metric).join();

  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const made = (held.current = new Held(app, element, series, unit, scale));
    const sized = new ResizeObserver(() => made.resize());
    sized.observe(element);
    const sight = new IntersectionObserver((entries) => ((made.inSight = entries.at(-1)?.isIntersecting ?? true), app.painter.touch()), { rootMargin: "100px" });
    sight.observe(element);
    return () => {
      sized.disconnect();
      sight.disconnect();
      made.destroy();
      held.current = null;
    };
  }, [app, key, unit, scale]);
  const pressed = (event: KeyboardEvent) => {
    const words = held.current?.pressed(event.key, event.shiftKey);
    if (words === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (heard.current) heard.current.textContent = words;
  };

  usePaint(() => {
    const known = held.current?.paint(limit, rule, tinted);
    if (!known || !host.current || !said.current) return;
    said.current.hidden = known.any || known.waits;
    if (performance.now() - known.saidAt > 10_000 || !known.saidAt) host.current.setAttribute("aria-label", known.say(title));
  });

  return (
    <>
      <div class={low ? "chart low" : "chart"} ref={host} role="img" aria-label={title} tabIndex={0} onKeyDown={pressed}>
        <p class="said" ref={said} hidden>
          {nothing}
        </p>
      </div>
      <p class="sr" role="status" ref={heard} />
    </>
  );
}

/** One chart at work. */
class Held {
  private readonly points: Sampled;
  private readonly other = new Sampled(1);
  /** The comparison, place by place beside the points. */
  private readonly beside: (number | null)[] = [];
  /** The line that another time is compared with. */
  private readonly main: LineSeries;
  private readonly axis = new CalmScale();
  private readonly plot: Plot;
  private readonly chart: uPlot;
  private drawn = "";
  private shown = "";
  private span = 0;
  any = false;
  /** The past of the range is asked for and not here yet: it is not said that there is none. */
  get waits(): boolean {
    return this.points.waits || !this.app.booted.value;
  }
  saidAt = 0;
  /** What is scrolled out of sight is drawn when it comes back. */
  inSight = true;

  constructor(
    private readonly app: ReturnType<typeof useApp>,
    private readonly host: HTMLElement,
    private readonly series: readonly LineSeries[],
    private readonly unit: string,
    private readonly scale: number,
  ) {
    this.points = new Sampled(series.length);
    this.main = series.find((each) => each.main) ?? (series[0] as LineSeries);
    this.plot = this.makePlot();
    this.chart = makePlot(host, this.plot, this.data());
  }

  destroy(): void {
    this.chart.destroy();
  }

  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width && height && (width !== this.chart.width || height !== this.chart.height)) this.chart.setSize({ width, height });
  }

  /** Draw when something changed; null: nothing did. */
  paint(limit: number | undefined, rule: string | undefined, tinted: boolean): Held | null {
    if (!this.inSight) return null;
    const { app } = this;
    const end = app.moment.end();
    const look = this.host.closest<HTMLElement>("[data-state]")?.dataset["state"];
    const shownEnd = app.moment.moves.value ? Math.floor(end * this.resolution()) : end;
    const key = `${app.booted.value} ${app.metrics.version} ${app.history.version} ${app.alerts.version} ${shownEnd} ${app.moment.span.value} ${theme.value} ${look} ${limit} ${app.moment.compared()}`;
    if (key === this.drawn) return null;
    this.drawn = key;
    if (this.span !== app.moment.span.value) this.axis.forget();
    this.span = app.moment.span.value;
    this.plot.tinted = tinted;
    const own = app.moment.mode.value === "past" ? undefined : app.alerts.limit(rule, this.main.metric);
    this.move(end, own === undefined ? limit : own * this.scale, rule);
    const seen = this.seen(shownEnd, look);
    if (seen === this.shown) return null;
    this.shown = seen;
    this.chart.setData(this.data(), true);
    makeRoom(this.chart, this.plot);
    return this;
  }

  /** What there is to see: a value that came and is the one that is drawn changes no pixel. */
  private seen(shownEnd: number, look: string | undefined): string {
    const { app, points, plot } = this;
    const closed = `${points.x.length} ${points.x[0]} ${app.history.version} ${app.metrics.seeded.until} ${app.moment.compared()}`;
    return `${this.waits} ${points.last.join(" ")} ${closed} ${shownEnd} ${this.span} ${plot.top} ${plot.limit} ${plot.live} ${plot.gapSince} ${plot.gaps.length} ${plot.tinted} ${app.alerts.version} ${theme.value} ${look}`;
  }

  /** What a key of the chart does, in words; undefined: it is none of ours. */
  pressed(key: string, many: boolean): string | undefined {
    const place = stepCursor(this.chart, key, many);
    if (place === undefined) return undefined;
    if (place === null) return "";
    const values = this.plot.lines.map((line, index) => `${line.name} ${this.text(index, place)}`).filter((words) => !words.includes(` ${NONE}`));
    return `${second(this.chart.data[0][place] as number)}: ${values.join(", ") || "no value"}`;
  }

  say(title: string): string {
    this.saidAt = performance.now();
    const values = this.series.map((each, index) => `${each.name ?? each.metric} ${this.text(index)}`);
    return `${title}: ${values.join(", ")}, at ${second(this.plot.to)}`;
  }

  /** Pixels a second: time moves on by whole pixels only. */
  private resolution(): number {
    return Math.min(4, Math.max(0.02, sizeOf(this.host).width / this.app.moment.span.value));
  }

  private move(end: number, limit: number | undefined, rule: string | undefined): void {
    const { app, plot, points } = this;
    plot.from = app.moment.start();
    plot.to = end;
    const scales = this.series.map(() => this.scale);
    sample(app, this.series.map((each) => each.metric), scales, plot.from, end, points);
    plot.most = most(points);
    this.compare(end);
    for (const value of this.beside) plot.most = Math.max(plot.most, value ?? 0);
    this.any = points.y.some((column) => column.some((value) => value !== null));
    plot.limit = limit;
    plot.top = this.axis.fit(this.any ? reaching(plot.most, limit) : (limit ?? unitary(this.unit)), performance.now() / 1000, this.unit);
    plot.limitText = limitText(limit, this.unit);
    plot.spans = rule ? app.alerts.spans.filter((span) => span.rule === rule) : [];
    plot.live = app.moment.mode.value === "live" && app.link.state.value === "open";
    this.gap(end);
  }

  /** Another time under this one, point by point: now, or the day before. */
  private compare(end: number): void {
    const { app, other, plot, points, beside } = this;
    const shift = app.moment.compared();
    beside.length = 0;
    beside.length = points.x.length;
    beside.fill(null);
    if (!shift) return;
    (plot.lines.at(-1) as Line).name = `${this.main.name ?? this.main.metric} ${app.moment.compare.value}`;
    sample(app, [this.main.metric], [this.scale], plot.from + shift, end + shift, other);
    // The other time may come in wider steps: each place takes the step that it lies in.
    let place = 0;
    points.x.forEach((at, index) => {
      while (place < other.x.length && (other.x[place] as number) < at + shift - 0.5) place += 1;
      beside[index] = other.y[0]?.[place] ?? null;
    });
  }

  private gap(end: number): void {
    const since = this.app.moment.mode.value === "live" ? this.app.metrics.silentSince(end) : Number.NaN;
    this.plot.gapSince = Number.isNaN(since) ? null : since;
    this.plot.gapText = Number.isNaN(since) ? "" : `no data since ${second(since)}`;
  }

  private text(line: number, at: number | null = null): string {
    const column = line === this.series.length ? this.beside : this.points.y[line];
    const value = at === null ? this.points.last[line] : column?.[at];
    return endText(value, this.plot.top, this.unit);
  }

  private data(): uPlot.AlignedData {
    return [this.points.x, ...this.points.y, this.beside];
  }

  private makePlot(): Plot {
    const { app } = this;
    const lines: Line[] = this.series.map((each, index) => ({
      name: each.name ?? each.metric,
      colour: each.colour ?? (this.series.length === 1 ? "accent" : (COLOURS[index] ?? "s5")),
      ...(each.main || this.series.length === 1 ? { main: true } : {}),
      ...(each.fill || (this.series.length === 1 && !each.colour) ? { fill: true } : {}),
    }));
    lines.push({ name: "", colour: "cmp", dashed: true });
    return {
      lines, right: 0, longest: 0, from: 0, to: 1, top: 1, limit: undefined, limitText: "", limitAt: 0, most: 0, spans: [], tinted: false, live: true, gaps: app.metrics.gaps, gapSince: null, gapText: "",
      value: (line, at) => this.text(line, at),
      axis: (value, topmost) => axisText(value, this.plot.top, this.unit, topmost),
      chosen: (from, to) => app.moment.look(from, to),
    };
  }
}

function most(points: Sampled): number {
  let found = 0;
  for (const column of points.y) for (const value of column) if (value !== null && value > found) found = value;
  return found;
}

/** What an axis without values reaches for: a whole of its unit, a few of what is counted. */
export function unitary(unit: string): number {
  return unit === "ms" ? 900 : unit === "%" ? 90 : 0;
}

/** One unit for the whole axis; it stands at the topmost line only. */
export function axisText(value: number, top: number, unit: string, topmost: boolean): string {
  const seconds = unit === "ms" && top >= 1000;
  const factor = seconds ? 1000 : top >= 1e9 ? 1e9 : top >= 1e6 ? 1e6 : top >= 1e4 ? 1e3 : 1;
  const word = seconds ? " s" : unit === "ms" ? " ms" : unit === "%" ? "%" : factor === 1e3 ? " k" : factor === 1e6 ? " M" : factor === 1e9 ? " G" : "";
  const step = gridStep(top / factor);
  const text = value === 0 ? "0" : step < 0.01 ? significant(value / factor) : exact(value / factor, step < 0.1 ? 2 : step < 1 ? 1 : 0);
  return topmost ? `${text}${word}` : text;
}

/** Milliseconds that an axis of seconds has no digits for: they keep a unit of their own, "0.00 s" would be nothing. */
const SHORT_MS = 10;

/** A value at the end of a line, in the unit of its axis. Other units stand in the head of the panel already, and there is little room. */
export function endText(value: number | null | undefined, top: number, unit: string): string {
  if (unit === "ms" && top >= 1000 && typeof value === "number" && value < 1000 && (value >= SHORT_MS || value === 0)) return `${exact(value / 1000, 2)} s`;
  return valuedText(value, unit === "ms" || unit === "%" ? unit : "");
}
