// A line chart on uPlot, in the manner of the house: names at the right end, the limit by its name, gaps hatched.

import uPlot from "uplot";
import { CHART_FONT, palette, type Palette, type Token } from "../theme/theme";
import { NONE } from "../format/number";
import { minute, ticks, tickText } from "../format/time";
import { hatch } from "./canvas";
import { limit } from "./limit";
import { lonely } from "./sampling";
import { apart, gridlines } from "./scale";

export interface Line {
  name: string;
  colour: Token;
  main?: boolean;
  dashed?: boolean;
  fill?: boolean;
}

export interface Span {
  start: number;
  end: number | null;
  priority: string;
}

/** What the drawing needs besides the points; changed in place before each paint. */
export interface Plot {
  lines: readonly Line[];
  from: number;
  to: number;
  top: number;
  limit: number | undefined;
  /** The limit with its unit. */
  limitText: string;
  /** Where its name stands (a place in PLACES); it stays there until a curve comes. */
  limitAt: number;
  /** The largest value in sight. */
  most: number;
  spans: readonly Span[];
  /** Whether episodes are tinted; without it an upright says when one began. */
  tinted: boolean;
  /** Whether a dot marks now. */
  live: boolean;
  /** Room at the right for names and values (px); it grows with them and does not shrink. */
  right: number;
  /** Characters of the longest name or value that there is room for. */
  longest: number;
  /** Values at the right: of the end, or under the pointer. */
  value(line: number, at: number | null): string;
  axis(value: number, topmost: boolean): string;
  /** Stretches in which nothing came. */
  gaps: readonly (readonly [from: number, to: number])[];
  /** Since when nothing came (unix seconds), null: it comes. */
  gapSince: number | null;
  gapText: string;
  chosen(from: number, to: number): void;
}

/** Room for the figures of the value axis, "500 ms" among them (px). */
const GUTTER = 40;
/** Figures of one chart end where those of its neighbours do. */
const LEAST_RIGHT = 64;
const NAME_FONT = `11px ${CHART_FONT}`;
const VALUE_FONT = `600 13px ${CHART_FONT}`;

export function makePlot(host: HTMLElement, plot: Plot, data: uPlot.AlignedData): uPlot {
  const colours = () => palette(host);
  const options: uPlot.Options = {
    width: Math.max(120, host.clientWidth),
    height: Math.max(80, host.clientHeight),
    padding: [10, () => plot.right, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false },
      sync: { key: "page", setSeries: false, scales: ["x", null] },
    },
    scales: { x: { time: false, range: () => [plot.from, plot.to] }, y: { range: () => [0, plot.top] } },
    axes: [timeAxis(plot, colours), valueAxis(plot, colours)],
    series: [{}, ...plot.lines.map((line) => series(line, colours))],
    hooks: {
      drawClear: [(chart) => beneath(chart, plot, colours())],
      draw: [(chart) => above(chart, plot, colours())],
      setCursor: [(chart) => chart.redraw(false, false)],
      setSelect: [(chart) => select(chart, plot)],
    },
  };
  const chart = new uPlot(options, data, host);
  chart.over.setAttribute("aria-hidden", "true");
  return chart;
}

/** Give names and values the room that they need, at most two fifths of the chart. */
export function makeRoom(chart: uPlot, plot: Plot): void {
  const texts = plot.lines.flatMap((line, index): (readonly [string, string])[] => {
    const { at } = end(chart, index, null);
    return at === null ? [] : [[single(plot) ? "" : line.name, plot.value(index, at)]];
  });
  const longest = Math.max(0, ...texts.flat().map((text) => text.length));
  // Figures are equally wide: what is not longer fits. Measuring texts in each frame costs more than their drawing.
  if (longest <= plot.longest) return;
  plot.longest = longest;
  const { ctx } = chart;
  ctx.save();
  const widths = texts.map(([name, value]) => Math.max(wide(ctx, NAME_FONT, name), wide(ctx, VALUE_FONT, value)));
  ctx.restore();
  const wanted = Math.ceil((Math.max(0, ...widths) + 14) / 8) * 8;
  const room = Math.round(Math.min(Math.max(LEAST_RIGHT, wanted), chart.width * 0.4));
  // A chart that has no size yet has no room either: asked again.
  if (room < wanted) plot.longest = 0;
  if (room <= plot.right) return;
  plot.right = room;
  chart.setSize({ width: chart.width, height: chart.height });
}

/** A line alone is named by the head of its panel. */
function single(plot: Plot): boolean {
  return plot.lines.filter((line) => line.name).length < 2;
}

function wide(ctx: CanvasRenderingContext2D, font: string, text: string): number {
  ctx.font = font;
  return ctx.measureText(text).width;
}

/** Move the upright by points with the keyboard; whoever listens hears the values there. Answers the place, null: it is gone. */
export function stepCursor(chart: uPlot, key: string, many: boolean): number | null | undefined {
  const times = chart.data[0];
  const last = times.length - 1;
  if (last < 0) return undefined;
  if (key === "Escape") {
    if ((chart.cursor.left ?? -1) < 0) return undefined;
    chart.setCursor({ left: -10, top: -10 });
    return null;
  }
  const shown = (chart.cursor.left ?? -1) >= 0 ? chart.cursor.idx : null;
  const step = (many ? 10 : 1) * (key === "ArrowLeft" ? -1 : 1);
  const wanted = key === "Home" ? 0 : key === "End" ? last : key === "ArrowLeft" || key === "ArrowRight" ? (shown ?? (step < 0 ? last + 1 : -1)) + step : -1;
  if (wanted === -1 && key !== "ArrowLeft" && key !== "ArrowRight") return undefined;
  const place = Math.max(0, Math.min(last, wanted));
  // The third argument tells the other charts of the page; the types of the library leave it out.
  (chart.setCursor as (at: { left: number; top: number }, fire: boolean, tell: boolean) => void)({ left: chart.valToPos(times[place] as number, "x"), top: 10 }, true, true);
  return place;
}

function series(line: Line, colours: () => Palette): uPlot.Series {
  return {
    label: line.name,
    stroke: () => colours()[line.colour],
    width: line.main ? 1.8 : 1.5,
    ...(line.dashed ? { dash: [4, 4] } : {}),
    ...(line.fill ? { fill: () => colours().fill } : {}),
    // A value without neighbours is no line: it is a dot.
    points: { show: false, size: 3, width: 0, fill: () => colours()[line.colour], filter: (chart, index) => lonely(chart.data[index] ?? []) },
    spanGaps: false,
  };
}

function timeAxis(plot: Plot, colours: () => Palette): uPlot.Axis {
  return {
    size: 22,
    gap: 6,
    font: `11px ${CHART_FONT}`,
    stroke: () => colours().tx3,
    grid: { show: false },
    ticks: { show: false },
    splits: (chart) => {
      const span = plot.to - plot.from;
      const label = 20 + 6.5 * tickText(plot.to, span).length;
      const most = Math.max(2, Math.floor(chart.bbox.width / devicePixelRatio / label));
      return ticks(plot.from, plot.to, most).filter((at) => plot.to - at > span * 0.05 && at - plot.from > span * 0.03);
    },
    values: (_, places) => places.map((at) => tickText(at, plot.to - plot.from)),
  };
}

function valueAxis(plot: Plot, colours: () => Palette): uPlot.Axis {
  return {
    size: GUTTER,
    gap: GUTTER,
    align: 1,
    font: `11px ${CHART_FONT}`,
    stroke: () => colours().tx3,
    grid: { stroke: () => colours().rule, width: 1 },
    ticks: { show: false },
    splits: () => gridlines(plot.top),
    values: (_, places) => places.map((value, index) => plot.axis(value, index === places.length - 1)),
  };
}

function select(chart: uPlot, plot: Plot): void {
  const { left, width } = chart.select;
  if (width < 4) return;
  const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
  chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  plot.chosen(from, to);
}

function beneath(chart: uPlot, plot: Plot, colours: Palette): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio || 1;
  for (const { start, end, priority } of plot.spans) {
    const left = Math.max(bbox.left, chart.valToPos(start, "x", true));
    const right = Math.min(bbox.left + bbox.width, chart.valToPos(end ?? plot.to, "x", true));
    if (right <= left) continue;
    if (!plot.tinted) continue;
    ctx.fillStyle = priority === "critical" ? colours["crit-span"] : colours["warn-span"];
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  for (const [from, to] of plot.gaps) lacking(chart, from, to, colours.hatch);
  if (plot.gapSince === null || plot.gapSince >= plot.to) return;
  const left = Math.max(bbox.left, chart.valToPos(plot.gapSince, "x", true));
  lacking(chart, plot.gapSince, plot.to, colours.hatch);
  upright(ctx, left, bbox.top, bbox.height, colours.warn, ratio);
}

/** The part of a stretch without data that is in sight. */
function lacking(chart: uPlot, from: number, to: number, colour: string): void {
  const { ctx, bbox } = chart;
  const left = Math.max(bbox.left, chart.valToPos(from, "x", true));
  const right = Math.min(bbox.left + bbox.width, chart.valToPos(to, "x", true));
  hatch(ctx, left, bbox.top, right - left, bbox.height, colour);
}

function above(chart: uPlot, plot: Plot, colours: Palette): void {
  const { ctx } = chart;
  ctx.save();
  limit(chart, plot, colours);
  fired(chart, plot, colours);
  gapText(chart, plot, colours);
  ends(chart, plot, colours);
  ctx.restore();
}

/** When the last episode in sight began: an upright with the time. */
function fired(chart: uPlot, plot: Plot, colours: Palette): void {
  const span = plot.spans.findLast((each) => each.start > plot.from && each.start < plot.to);
  if (!span) return;
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio || 1;
  const x = Math.round(chart.valToPos(span.start, "x", true)) + 0.5 * ratio;
  if (!plot.tinted) ctx.setLineDash([2 * ratio, 3 * ratio]);
  upright(ctx, x, bbox.top, bbox.height, plot.tinted ? (span.priority === "critical" ? colours.crit : colours["warn-f"]) : colours.tx3, ratio);
  ctx.setLineDash([]);
  ctx.font = `${11 * ratio}px ${CHART_FONT}`;
  ctx.fillStyle = colours.tx2;
  ctx.textBaseline = "top";
  const left = x - bbox.left > 90 * ratio;
  ctx.textAlign = left ? "right" : "left";
  lettered(ctx, `${minute(span.start)} fires`, x + (left ? -6 : 6) * ratio, bbox.top + (plot.gapText && plot.gapSince !== null ? 18 : 2) * ratio, colours.bg, ratio);
}

function gapText(chart: uPlot, plot: Plot, colours: Palette): void {
  if (plot.gapSince === null || !plot.gapText) return;
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio || 1;
  ctx.font = `11px ${CHART_FONT}`.replace("11", String(11 * ratio));
  ctx.fillStyle = colours.warn;
  ctx.textAlign = "right";
  ctx.textBaseline = "top";
  lettered(ctx, plot.gapText, Math.max(bbox.left + 150 * ratio, chart.valToPos(plot.gapSince, "x", true) - 6 * ratio), bbox.top + 2 * ratio, colours.bg, ratio);
}

/** Words that can be read over a curve. */
function lettered(ctx: CanvasRenderingContext2D, text: string, x: number, y: number, ground: string, ratio: number): void {
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * ratio;
  ctx.strokeStyle = ground;
  ctx.strokeText(text, x, y);
  ctx.fillText(text, x, y);
}

/** Names and values at the right end; names that would touch are moved apart. */
function ends(chart: uPlot, plot: Plot, colours: Palette): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio || 1;
  const under = chart.cursor.idx ?? null;
  const hovered = chart.cursor.left !== undefined && chart.cursor.left >= 0 ? under : null;
  const shown = plot.lines.map((line, index) => ({ line, index, ...read(chart, index, hovered) })).filter((each) => each.at !== null);
  const wanted = shown.map(({ value }) => chart.valToPos(value, "y", true) / ratio - 14);
  const places = apart(wanted, 28, (bbox.top + bbox.height) / ratio + 14);
  const left = (bbox.left + bbox.width) / ratio + 10;
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  // All names, then all values: a font is set once for each.
  ctx.font = `${11 * ratio}px ${CHART_FONT}`;
  const only = single(plot);
  if (!only) shown.forEach(({ line }, place) => {
    ctx.fillStyle = line.colour === "cmp" ? colours.cmp : line.main ? colours.accent : colours.tx3;
    ctx.fillText(cut(ctx, line.name, (plot.right - 10) * ratio), left * ratio, (places[place] as number) * ratio);
  });
  ctx.font = `600 ${13 * ratio}px ${CHART_FONT}`;
  ctx.fillStyle = colours.tx1;
  shown.forEach(({ index, at, known }, place) => ctx.fillText(known ? plot.value(index, at) : NONE, left * ratio, ((places[place] as number) + (only ? 6 : 12)) * ratio));
  for (const { line, at, value, known } of shown) if (known && ((plot.live && !line.dashed) || hovered !== null)) dot(chart, chart.data[0]?.[at as number] as number, value, colours[line.colour], ratio);
}

/** Marks a value on its line. */
function dot(chart: uPlot, at: number, value: number, colour: string, ratio: number): void {
  const { ctx } = chart;
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(chart.valToPos(at, "x", true), chart.valToPos(value, "y", true), 2.5 * ratio, 0, Math.PI * 2);
  ctx.fill();
}

/** A text as wide as there is room. */
export function cut(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length -= 1;
  return `${text.slice(0, length)}…`;
}

/** The same; a line without a value under the pointer keeps its name where it was. */
function read(chart: uPlot, line: number, hovered: number | null): { at: number | null; value: number; known: boolean } {
  const under = end(chart, line, hovered);
  return under.at === null && hovered !== null ? { ...end(chart, line, null), known: false } : { ...under, known: true };
}

/** Where the value of a line is read: under the pointer, else its last. */
function end(chart: uPlot, line: number, hovered: number | null): { at: number | null; value: number } {
  const column = chart.data[line + 1];
  if (!column) return { at: null, value: 0 };
  const begin = hovered ?? column.length - 1;
  for (let index = begin; index >= Math.max(0, hovered === null ? 0 : begin); index -= 1) {
    const value = column[index];
    if (value != null) return { at: index, value };
  }
  return { at: null, value: 0 };
}

function upright(ctx: CanvasRenderingContext2D, x: number, y: number, height: number, colour: string, ratio: number): void {
  ctx.strokeStyle = colour;
  ctx.lineWidth = ratio;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x, y + height);
  ctx.stroke();
}
