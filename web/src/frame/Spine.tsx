// The log itself: bars of events stored, the lit part is what the page shows, episodes of alerts above, the head at the end.

import { useRef } from "preact/hooks";
import { useApp, usePaint } from "./context";
import type { App } from "../data/app";
import { surface, hatch } from "../charts/canvas";
import { sizeOf } from "../charts/size";
import { exact, NONE } from "../format/number";
import { duration, second, ticks, tickText } from "../format/time";
import { write } from "../panels/Stat";
import { CHART_FONT, palette, type Palette, theme } from "../theme/theme";

/** The span is so many times what the page shows. */
const TIMES = 6;
const SLOT = 4;
const BASE = 40;
const TALL = 26;

export function Spine() {
  const app = useApp();
  const canvas = useRef<HTMLCanvasElement>(null);
  const offset = useRef<HTMLElement>(null);
  const lagName = useRef<HTMLElement>(null);
  const lag = useRef<HTMLElement>(null);
  const drawn = useRef("");
  usePaint(() => {
    const element = canvas.current;
    if (!element) return;
    write(offset.current, exact(app.moment.mode.value === "paused" ? app.moment.pausedAt.value : app.head));
    figures(app, lagName.current, lag.current);
    const key = `${app.metrics.seeded.until} ${app.history.version} ${app.alerts.version} ${Math.floor(app.moment.now())} ${app.moment.end() | 0} ${app.moment.span.value} ${theme.value} ${app.link.state.value} ${late(app)} ${sizeOf(element).width}`;
    if (key === drawn.current) return;
    drawn.current = key;
    draw(app, element);
  });
  return (
    <div class="spine">
      <canvas ref={canvas} role="img" aria-label="Events stored over time. Arrow keys move what is shown." {...dragging(app)} />
      <dl>
        <dt>Offset</dt>
        <dd ref={offset} id="offset">
          –
        </dd>
        <dt ref={lagName}>Event to screen</dt>
        <dd ref={lag} id="lag">
          –
        </dd>
      </dl>
    </div>
  );
}

function figures(app: App, name: HTMLElement | null, value: HTMLElement | null): void {
  const age = app.age();
  const old = late(app);
  if (app.moment.mode.value === "past") {
    write(name, "Not live");
    write(value, `${duration(app.moment.now() - app.moment.end())} ago`);
  } else if (old || Number.isNaN(age)) {
    write(name, "Age of data");
    write(value, Number.isNaN(age) ? "no data" : duration(Math.round(age)));
  } else {
    const middle = app.latency.quantile(0.5);
    write(name, "Event to screen");
    write(value, Number.isNaN(middle) ? NONE : duration(middle));
  }
  if (value) value.className = old && !Number.isNaN(age) ? "warn" : "";
}

/** What the page shows is not of now: nothing in the strip looks live. */
function late(app: App): boolean {
  return app.link.state.value === "lost" || app.staleFor.value > 0;
}

interface Frame {
  context: CanvasRenderingContext2D;
  width: number;
  from: number;
  to: number;
  colours: Palette;
  x(at: number): number;
}

function draw(app: App, canvas: HTMLCanvasElement): void {
  const place = surface(canvas, sizeOf(canvas));
  if (!place) return;
  const { context, width } = place;
  const to = app.moment.now();
  const from = to - spineSpan(app);
  const frame: Frame = { context, width: width - 2, from, to, colours: palette(canvas), x: (at) => ((at - from) / (to - from)) * (width - 2) };
  base(frame);
  bars(app, frame);
  episodes(app, frame);
  head(app, frame);
  times(frame);
}

/** Past that is looked at stays in sight. */
function spineSpan(app: App): number {
  const usual = TIMES * app.moment.span.value;
  const needed = app.moment.now() - app.moment.start();
  return Math.max(usual, needed * 1.1);
}

function base({ context, width, colours }: Frame): void {
  context.fillStyle = colours.rule2;
  context.fillRect(0, BASE, width, 1);
}

function bars(app: App, frame: Frame): void {
  const { context, width, from, to, colours } = frame;
  const count = Math.floor(width / SLOT);
  if (count < 1) return;
  const step = (to - from) / count;
  const values = slots(app, from, step, count);
  const most = Math.max(...values.filter((value) => !Number.isNaN(value)), 0);
  if (!most) return;
  const lit = [app.moment.start(), app.moment.end()] as const;
  const past = app.moment.mode.value === "past";
  const shown = past ? colours.tx2 : late(app) ? colours.spark : colours.accent;
  values.forEach((value, index) => {
    if (Number.isNaN(value) || value <= 0) return;
    const at = from + (index + 0.5) * step;
    const height = Math.max(1.5, (value / most) * TALL);
    const inside = at >= lit[0] && at <= lit[1];
    context.fillStyle = inside ? shown : colours.spine;
    context.fillRect(index * SLOT, BASE - height, 3, height);
  });
  if (past) bracket(frame, frame.x(lit[0]), frame.x(lit[1]));
}

/** Mean events a second of each slot, NaN where nothing is known. */
function slots(app: App, from: number, step: number, count: number): number[] {
  const values = new Array<number>(count).fill(Number.NaN);
  const ring = app.metrics.ring;
  const oldest = ring.oldest;
  const past = app.metrics.declared("throughput") && (from < oldest - step || Number.isNaN(oldest)) ? app.history.range(["throughput"], from, Number.isNaN(oldest) ? from + count * step : oldest, roundStep(step)) : null;
  // A step of the history may be wider than a bar: each bar asks for the step that its middle lies in.
  const known = past?.series["throughput"] ?? [];
  if (past) values.forEach((_, slot) => (values[slot] = known[Math.floor((from + (slot + 0.5) * step - past.start) / past.step)] ?? Number.NaN));
  const sums = new Map<number, [number, number]>();
  for (let index = 0; index < ring.length; index += 1) {
    const slot = Math.floor((ring.time(index) - from) / step);
    const value = ring.value("throughput", index);
    if (slot < 0 || Number.isNaN(value)) continue;
    const [sum, taken] = sums.get(slot) ?? [0, 0];
    sums.set(slot, [sum + value, taken + 1]);
  }
  for (const [slot, [sum, taken]] of sums) if (slot < count) values[slot] = sum / taken;
  return values;
}

function roundStep(step: number): number {
  return [1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((each) => each >= step) ?? 3600 * Math.ceil(step / 3600);
}

function bracket({ context, colours }: Frame, left: number, right: number): void {
  context.strokeStyle = colours.tx1;
  context.lineWidth = 1.5;
  context.strokeRect(left, BASE - TALL - 4, right - left, TALL + 6);
}

function episodes(app: App, { context, colours, x, from, to }: Frame): void {
  for (const { start, end, priority } of app.alerts.spans) {
    if ((end ?? to) < from || priority === "info") continue;
    const left = Math.max(0, x(start));
    const critical = priority === "critical";
    context.fillStyle = late(app) ? colours.edge : critical ? colours.crit : colours["warn-f"];
    context.fillRect(left, critical ? 3 : 7, Math.max(2, x(end ?? to) - left), 2.5);
  }
}

function head(app: App, { context, width, colours, x }: Frame): void {
  const lost = app.link.state.value === "lost";
  if (lost && !Number.isNaN(app.metrics.latestAt)) {
    const left = x(app.metrics.latestAt);
    context.fillStyle = colours["warn-span"];
    context.fillRect(left, 12, width - left, BASE - 12);
    hatch(context, left, 12, width - left, BASE - 12, colours.hatch);
  }
  context.fillStyle = lost ? colours["warn-f"] : app.moment.mode.value === "past" ? colours.accent : colours.tx1;
  context.fillRect(width - 1, 10, 2, BASE - 9);
}

function times({ context, width, from, to, colours, x }: Frame): void {
  context.font = `11px ${CHART_FONT}`;
  context.textBaseline = "top";
  context.textAlign = "right";
  context.fillStyle = colours.tx1;
  context.fillText(second(to), width + 1, BASE + 4);
  const room = width - context.measureText(second(to)).width - 12;
  context.textAlign = "left";
  context.fillStyle = colours.tx3;
  const most = Math.max(2, Math.floor(width / 150));
  for (const at of ticks(from, to, most)) {
    const words = tickText(at, to - from);
    if (x(at) < 2 || x(at) + context.measureText(words).width > room) continue;
    context.fillRect(Math.round(x(at)), BASE, 1, 5);
    context.fillText(words, Math.round(x(at)) + 4, BASE + 4);
  }
}

/** Drag: a range; a click on an episode: its page. */
function dragging(app: App) {
  let began: number | null = null;
  const at = (event: PointerEvent): number => {
    const place = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const to = app.moment.now();
    return to - spineSpan(app) * (1 - (event.clientX - place.left) / place.width);
  };
  return {
    tabIndex: 0,
    onPointerDown: (event: PointerEvent) => {
      began = at(event);
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    },
    onPointerUp: (event: PointerEvent) => {
      const end = at(event);
      if (began !== null && Math.abs(end - began) > spineSpan(app) / 100) app.moment.look(Math.min(began, end), Math.max(began, end));
      else if (began !== null && end < app.moment.start()) app.moment.look(end - app.moment.span.value / 2, end + app.moment.span.value / 2);
      began = null;
    },
  };
}
