// Rows by columns, drawn on a canvas: darker is fewer. The pop-over says what a cell holds.

import { useRef, useState } from "preact/hooks";
import { usePaint } from "../frame/context";
import { exact, shortText } from "../format/number";
import { CHART_FONT, palette, theme, type Token } from "../theme/theme";
import { surface } from "./canvas";
import { cut } from "./plot";
import { heatSteps } from "./heat";

export interface HeatRow {
  name: string;
  values: readonly (number | null)[];
  /** Questions without an answer, for each column; outlined where there are any. */
  gaps?: readonly number[];
  right?: string;
  /** Beside it, quiet. */
  far?: string;
}

interface Props {
  label: string;
  rows: readonly HeatRow[];
  /** Names of the columns; some of them stand below. */
  columns: readonly string[];
  word?: string;
  /** Over the totals at the right, and what stands beside them. */
  heads?: readonly [string, string];
  /** What an outlined cell is, in the legend. */
  gapWord?: string;
}

const TOP = 18;
const ROW = 20;
/** Of the names of rows: a quarter of the width, within bounds (px). */
const LEFT = [126, 190] as const;
const RIGHT = 56;
/** Of what stands beside the totals. */
const FAR = 84;

export function Heatmap({ label, rows, columns, word = "reads", heads, gapWord }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<unknown[]>([]);
  const [over, setOver] = useState<{ row: number; column: number; x: number; y: number } | null>(null);
  usePaint(() => {
    const element = canvas.current;
    const look = element?.closest<HTMLElement>("[data-state]")?.dataset["state"];
    const key = [rows, columns, theme.value, look, element?.clientWidth, over?.row, over?.column];
    if (!element || key.every((each, index) => Object.is(each, drawn.current[index]))) return;
    drawn.current = key;
    draw(element, rows, columns, over, heads);
  });
  const most = Math.max(0, ...rows.flatMap((row) => row.values.map((value) => value ?? 0)));
  const found = over && rows[over.row];
  return (
    <div class="heat" style={{ position: "relative" }}>
      <canvas ref={canvas} role="img" aria-label={`${label}: ${rows.length} rows, up to ${shortText(most)} ${word}`} style={{ width: "100%", height: `${rows.length * ROW + (heads ? TOP : 0) + 24}px`, display: "block" }}
        onPointerMove={(event) => setOver(place(event, rows.length, columns.length, heads !== undefined))} onPointerLeave={() => setOver(null)} />
      {found && over ? (
        <div class="pop heat-pop" style={{ left: `${Math.max(0, over.x - 190)}px`, top: `${over.y + 14}px` }}>
          <b>{found.name}</b> <span class="quiet">{columns[over.column]}</span>
          <div>
            {found.gaps ? gapWord : word} <b class="num">{shortText((found.gaps ?? found.values)[over.column] ?? 0)}</b>
          </div>
        </div>
      ) : null}
      <p class="quiet small legend">
        <span>fewer</span> {["h0", "h1", "h2", "h3", "h4", "h5"].map((step) => <i key={step} style={{ background: `var(--${step})` }} />)} <span>more, up to {exact(most)}</span>
        {rows.some((row) => row.gaps) ? <span class="gap-key">{gapWord}</span> : null}
      </p>
    </div>
  );
}

function place(event: PointerEvent, rows: number, columns: number, headed: boolean): { row: number; column: number; x: number; y: number } | null {
  const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const left = leftOf(box.width);
  const column = Math.floor(((x - left) / (box.width - left - rightOf(headed, box.width))) * columns);
  const row = Math.floor((y - (headed ? TOP : 0)) / ROW);
  return column >= 0 && column < columns && row >= 0 && row < rows ? { row, column, x, y } : null;
}

function draw(canvas: HTMLCanvasElement, rows: readonly HeatRow[], columns: readonly string[], over: { row: number; column: number } | null, heads?: readonly [string, string]): void {
  const at = surface(canvas);
  if (!at) return;
  const { context, width } = at;
  const colours = palette(canvas);
  const right = rightOf(heads !== undefined, width);
  const total = heads && right > RIGHT ? width - FAR : width;
  const top = heads ? TOP : 0;
  const left = leftOf(width);
  const cell = (width - left - right) / Math.max(1, columns.length);
  const steps = heatSteps(rows.flatMap((row) => columns.map((_, column) => row.values[column] ?? null)));
  context.font = `12px ${CHART_FONT}`;
  context.textBaseline = "middle";
  if (heads) headed(context, heads, total, width, colours.tx3);
  rows.forEach((row, index) => {
    const y = top + index * ROW;
    context.textAlign = "left";
    context.fillStyle = colours.tx1;
    context.fillText(cut(context, row.name, left - 12), 0, y + ROW / 2);
    columns.forEach((_, column) => {
      const step = steps[index * columns.length + column];
      context.fillStyle = step == null ? "transparent" : colours[`h${step}` as Token];
      context.fillRect(left + column * cell, y, Math.max(1, cell - 1), ROW - 1);
      if (row.gaps) context.fillStyle = colours.h0;
      if (row.gaps) context.fillRect(left + column * cell, y, Math.max(1, cell - 1), ROW - 1);
      if (row.gaps?.[column]) outline(context, left + column * cell, y, cell, colours["warn-f"]);
    });
    context.textAlign = "right";
    context.fillStyle = colours.tx1;
    context.fillText(row.right ?? "", total, y + ROW / 2);
    if (total === width) return;
    context.fillStyle = colours.tx3;
    context.fillText(cut(context, row.far ?? "", FAR - 14), width, y + ROW / 2);
  });
  below(context, columns, left, cell, top + rows.length * ROW + 12, colours.tx3);
  if (over) outline(context, left + over.column * cell, top + over.row * ROW, cell, colours.tx1);
}

function leftOf(width: number): number {
  return Math.round(Math.min(LEFT[1], Math.max(LEFT[0], width * 0.24)));
}

/** Room at the right: the total, and what stands beside it where there is the width. */
function rightOf(headed: boolean, width: number): number {
  return headed && width > 520 ? RIGHT + FAR : RIGHT;
}

function headed(context: CanvasRenderingContext2D, [total, far]: readonly [string, string], at: number, width: number, colour: string): void {
  context.textAlign = "right";
  context.fillStyle = colour;
  context.fillText(total, at, TOP / 2 - 1);
  if (at !== width) context.fillText(far, width, TOP / 2 - 1);
}

function outline(context: CanvasRenderingContext2D, x: number, y: number, cell: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.strokeRect(x + 0.5, y + 0.5, Math.max(2, cell - 2), ROW - 2);
}

function below(context: CanvasRenderingContext2D, columns: readonly string[], left: number, cell: number, y: number, colour: string): void {
  const each = Math.max(1, Math.ceil(70 / cell));
  context.font = `11px ${CHART_FONT}`;
  context.textAlign = "left";
  context.fillStyle = colour;
  for (let column = 0; column < columns.length - each / 2; column += each) context.fillText(columns[column] ?? "", left + column * cell, y);
}
