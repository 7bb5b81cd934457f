// A panel as a picture: what is drawn on it, on its own ground, with its title and the time in UTC.

import { CHART_FONT, palette } from "../theme/theme";
import { cut } from "../charts/plot";
import { iso } from "../format/time";
import type { Tabular } from "./TableBehind";

const HEAD = 34;
const EDGE = 14;

/** Drawings of the panel in one canvas, in device pixels; null when nothing is drawn on it. */
export async function pictureOf(title: string, panel: HTMLElement): Promise<HTMLCanvasElement | null> {
  const drawn = [...panel.querySelectorAll<HTMLCanvasElement | SVGSVGElement>("canvas, svg.sankey, svg.network, svg.picture")].filter((each) => each.clientWidth > 0);
  if (!drawn.length) return null;
  const boxes = drawn.map((each) => each.getBoundingClientRect());
  const [left, top] = [Math.min(...boxes.map((box) => box.left)), Math.min(...boxes.map((box) => box.top))];
  const [right, bottom] = [Math.max(...boxes.map((box) => box.right)), Math.max(...boxes.map((box) => box.bottom))];
  const ratio = devicePixelRatio || 1;
  const sheet = document.createElement("canvas");
  sheet.width = (right - left + 2 * EDGE) * ratio;
  sheet.height = (bottom - top + HEAD + EDGE) * ratio;
  const context = sheet.getContext("2d");
  if (!context) return null;
  context.scale(ratio, ratio);
  ground(context, title, panel, right - left);
  for (const [index, each] of drawn.entries()) {
    const box = boxes[index] as DOMRect;
    const image = each instanceof HTMLCanvasElement ? each : await imageOf(each);
    context.drawImage(image, box.left - left + EDGE, box.top - top + HEAD, box.width, box.height);
  }
  return sheet;
}

const ROW = 22;
const MOST_ROWS = 200;
const MOST_WIDE = 420;

/** Rows and columns as a picture, each column as wide as its longest text. */
export function tablePicture(title: string, panel: HTMLElement, { columns, rows }: Tabular): HTMLCanvasElement | null {
  const sheet = document.createElement("canvas");
  const context = sheet.getContext("2d");
  if (!context) return null;
  const lines = [columns, ...rows.slice(0, MOST_ROWS)].map((line) => line.map((cell) => String(cell ?? "–")));
  context.font = `12px ${CHART_FONT}`;
  const widths = columns.map((_, column) => Math.min(MOST_WIDE, Math.max(...lines.map((line) => context.measureText(line[column] ?? "").width)) + 24));
  const wide = Math.max(360, widths.reduce((sum, width) => sum + width, 0));
  const ratio = devicePixelRatio || 1;
  sheet.width = (wide + 2 * EDGE) * ratio;
  sheet.height = (HEAD + lines.length * ROW + EDGE) * ratio;
  context.scale(ratio, ratio);
  ground(context, title, panel, wide);
  const colours = palette(panel);
  context.textAlign = "left";
  context.font = `12px ${CHART_FONT}`;
  lines.forEach((line, index) => {
    context.fillStyle = index ? colours.tx1 : colours.tx3;
    let x = EDGE;
    line.forEach((cell, column) => {
      context.fillText(cut(context, cell, MOST_WIDE - 24), x, HEAD + index * ROW + 4);
      x += widths[column] ?? 0;
    });
  });
  return sheet;
}

function ground(context: CanvasRenderingContext2D, title: string, panel: HTMLElement, width: number): void {
  const colours = palette(panel);
  context.fillStyle = colours.bg;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.textBaseline = "top";
  context.font = `600 13px ${CHART_FONT}`;
  context.fillStyle = colours.tx1;
  context.fillText(title, EDGE, 10);
  context.font = `11px ${CHART_FONT}`;
  context.fillStyle = colours.tx3;
  context.textAlign = "right";
  context.fillText(iso(Date.now() / 1000), EDGE + width, 11);
}

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity", "paint-order", "font-family", "font-size", "font-weight", "font-variant-numeric", "text-anchor", "letter-spacing"];

/** A drawing with the style that it has here, as an image. */
async function imageOf(drawing: SVGSVGElement): Promise<HTMLImageElement> {
  const copy = drawing.cloneNode(true) as SVGSVGElement;
  const [from, to] = [drawing.querySelectorAll("*"), copy.querySelectorAll<SVGElement>("*")];
  from.forEach((each, index) => {
    const style = getComputedStyle(each);
    for (const name of STYLES) to[index]?.style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}
