// The limit of a curve: a dashed line, its name where no curve is, and a bar on the base line for the time above it.

import type uPlot from "uplot";
import { CHART_FONT, type Palette } from "../theme/theme";
import type { Plot } from "./plot";

/** The limit as a dashed line with its name, and the time above it. */
export function limit(chart: uPlot, plot: Plot, colours: Palette): void {
  if (plot.limit === undefined || plot.limit > plot.top) return;
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio || 1;
  const y = Math.round(chart.valToPos(plot.limit, "y", true)) + 0.5 * ratio;
  const near = plot.most >= plot.limit * 0.9;
  ctx.strokeStyle = near ? colours["warn-f"] : colours.tx3;
  ctx.lineWidth = ratio;
  ctx.setLineDash([4 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.font = `${11 * ratio}px ${CHART_FONT}`;
  ctx.fillStyle = near ? colours.warn : colours.tx3;
  limitName(chart, plot, `limit ${plot.limitText}`, y, colours.bg, ratio);
  crossed(chart, plot, colours, ratio);
}

/** Where the name of a limit may stand: at the left or right end, above or below its line. */
const PLACES = [[0, -1], [1, -1], [0, 1], [1, 1]] as const;

/** The name of a limit where no curve is; where there is none such, the curve gives way. */
function limitName(chart: uPlot, plot: Plot, text: string, y: number, ground: string, ratio: number): void {
  const { ctx, bbox } = chart;
  const width = ctx.measureText(text).width;
  const box = (place: number): Box => {
    const [end, side] = PLACES[place] as (typeof PLACES)[number];
    const left = end ? bbox.left + bbox.width - width - 8 * ratio : bbox.left + 8 * ratio;
    return { left, right: left + width, top: y + (side < 0 ? -17 : 3) * ratio, bottom: y + (side < 0 ? -3 : 17) * ratio };
  };
  const free = (place: number): boolean => box(place).top >= 0 && box(place).bottom <= bbox.top + bbox.height && !covered(chart, box(place));
  if (!free(plot.limitAt)) plot.limitAt = Math.max(0, PLACES.findIndex((_, place) => free(place)));
  const { left, top, bottom } = box(plot.limitAt);
  const colour = ctx.fillStyle;
  ctx.fillStyle = ground;
  ctx.fillRect(left - 3 * ratio, top, width + 6 * ratio, bottom - top);
  ctx.fillStyle = colour;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(text, left, (top + bottom) / 2);
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Whether a curve goes through a box (canvas px). */
function covered(chart: uPlot, { left, right, top, bottom }: Box): boolean {
  const [x, ...columns] = chart.data;
  const [from, to] = [chart.posToVal(left, "x", true), chart.posToVal(right, "x", true)];
  const [most, least] = [chart.posToVal(top, "y", true), chart.posToVal(bottom, "y", true)];
  return columns.some((column) => crosses(x, column, { from, to, least, most }));
}

/** Whether a curve has a value between `least` and `most` from one time to another, or goes through there from one value to the next. */
export function crosses(x: ArrayLike<number>, y: ArrayLike<number | null | undefined>, { from, to, least, most }: { from: number; to: number; least: number; most: number }): boolean {
  let before: number | null = null;
  for (let index = 0; index < x.length; index += 1) {
    const [at, value] = [x[index] as number, y[index] ?? null];
    const reached = at >= from;
    if (reached && value !== null && Math.max(value, before ?? value) >= least && Math.min(value, before ?? value) <= most) return true;
    if (at > to) return false;
    before = value;
  }
  return false;
}

/** The time above the limit, as a bar on the base line. */
function crossed(chart: uPlot, plot: Plot, colours: Palette, ratio: number): void {
  const main = Math.max(0, plot.lines.findIndex((line) => line.main));
  const [x, y] = [chart.data[0], chart.data[main + 1]];
  if (!x || !y || plot.limit === undefined) return;
  const base = chart.bbox.top + chart.bbox.height;
  chart.ctx.fillStyle = colours["warn-f"];
  for (let index = 1; index < x.length; index += 1) {
    const value = y[index];
    if (value == null || value <= plot.limit) continue;
    const left = chart.valToPos(x[index - 1] as number, "x", true);
    const right = chart.valToPos(x[index] as number, "x", true);
    chart.ctx.fillRect(left, base - 1.5 * ratio, right - left + 0.5, 3 * ratio);
  }
}
