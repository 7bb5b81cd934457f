// A panel as a picture: what is drawn on it, on its own ground, with its title and the time in UTC.

import { CHART_FONT, palette } from "../theme/theme";
import { iso } from "../format/time";

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

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity", "font", "text-anchor", "letter-spacing"];

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
