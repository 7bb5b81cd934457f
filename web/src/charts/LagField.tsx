// Every channel's clients at their distance from the head: log scale, head at the right, rows level with the table beside it.

import { useEffect, useRef } from "preact/hooks";
import { useApp, usePaint } from "../frame/context";
import { CHART_FONT, palette, theme } from "../theme/theme";
import { surface } from "./canvas";
import { exact } from "../format/number";

export interface LagRow {
  name: string;
  clients: number;
  /** Clients behind the head. */
  behind: number;
  /** Events that the slowest has still to get. */
  lag: number;
}

const TOP = 25;
const ROW = 26;
const MOST = 5;

export function LagField({ rows }: { rows: readonly LagRow[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef("");
  usePaint(() => {
    const element = canvas.current;
    if (!element) return;
    const look = element.closest<HTMLElement>("[data-state]")?.dataset["state"];
    const key = `${theme.value} ${look} ${element.clientWidth} ${rows.map((row) => `${row.clients} ${row.behind} ${row.lag}`).join()}`;
    if (key === drawn.current) return;
    drawn.current = key;
    draw(element, rows);
  });
  const { painter } = useApp();
  // An answer that comes between two paints is drawn with the table beside it.
  useEffect(() => painter.touch(), [painter, rows]);
  const behind = rows.reduce((sum, row) => sum + row.behind, 0);
  const height = TOP + Math.max(1, rows.length) * ROW + 22;
  return <canvas ref={canvas} role="img" aria-label={`${exact(behind)} clients behind`} style={{ width: "100%", height: `${height}px`, display: "block" }} />;
}

/** Where the table does not stand beside it, rows have their names here. */
function named(context: CanvasRenderingContext2D, name: string, y: number, colour: string): void {
  context.fillStyle = colour;
  context.textAlign = "left";
  context.fillText(name, 0, y - 6);
  context.textAlign = "center";
}

function draw(canvas: HTMLCanvasElement, rows: readonly LagRow[]): void {
  const place = surface(canvas);
  if (!place) return;
  const { context, width } = place;
  const colours = palette(canvas);
  const right = width - 16;
  const stacked = innerWidth < 1100;
  const bottom = TOP + rows.length * ROW;
  const x = (lag: number) => right - (Math.log10(lag + 1) / MOST) * (right - 20);
  context.font = `11px ${CHART_FONT}`;
  context.textBaseline = "top";
  context.textAlign = "center";
  ["head", "10", "100", "1 k", "10 k", "100 k"].forEach((name, power) => {
    const at = power ? x(10 ** power) : right;
    context.fillStyle = power ? colours.rule : colours.tx2;
    context.fillRect(Math.round(at), 4, 1, bottom);
    context.fillStyle = power ? colours.tx3 : colours.tx1;
    context.fillText(name, at, bottom + 8);
  });
  rows.forEach((row, index) => {
    const y = TOP + index * ROW + ROW / 2;
    context.fillStyle = colours.rule;
    context.fillRect(0, y + ROW / 2, right, 1);
    if (stacked) named(context, row.name, y, colours.tx3);
    dots(context, right, y, row.clients - row.behind, colours.accent);
    if (!row.behind) return;
    const slow = row.lag > 1000;
    context.fillStyle = slow ? colours["warn-f"] : colours.accent;
    if (slow) triangle(context, x(row.lag), y);
    else circle(context, x(row.lag), y);
    context.fillStyle = colours.tx2;
    context.textAlign = "right";
    if (slow) context.fillText(`${exact(row.behind)} behind`, x(row.lag) - 10, y - 6);
    context.textAlign = "center";
  });
}

/** Those that are up to date stand on the head, spread a little so that many look like many. */
function dots(context: CanvasRenderingContext2D, x: number, y: number, count: number, colour: string): void {
  context.fillStyle = colour;
  for (let index = 0; index < Math.min(count, 9); index += 1) circle(context, x, y + ((index % 3) - 1) * 6 * (count > 1 ? 1 : 0) + Math.floor(index / 3));
}

function circle(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.arc(x, y, 3, 0, Math.PI * 2);
  context.fill();
}

function triangle(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.moveTo(x, y - 6);
  context.lineTo(x + 6, y + 5);
  context.lineTo(x - 6, y + 5);
  context.fill();
}
