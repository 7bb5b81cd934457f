// The small curve under a figure.

import { useRef } from "preact/hooks";
import { useApp, usePaint } from "../frame/context";
import { palette, type Token } from "../theme/theme";
import { surface, type Surface } from "./canvas";
import { sample, Sampled } from "./sampling";
import { sizeOf } from "./size";

const POINTS = 60;

interface Props {
  metric: string;
  scale?: number;
  limit?: number | undefined;
  tone: () => Token;
  /** Told the seconds that are drawn when they are fewer than the range; 0: all of it. */
  young?: (seconds: number) => void;
}

/** The least that a young history is stretched from, seconds. */
const LEAST = 60;

export function Sparkline({ metric, scale = 1, limit, tone, young }: Props) {
  const app = useApp();
  const canvas = useRef<HTMLCanvasElement>(null);
  const points = useRef(new Sampled(1)).current;
  const drawn = useRef("");
  usePaint(() => {
    const element = canvas.current;
    const end = app.moment.end();
    const colours = element && palette(element);
    const size = element && sizeOf(element);
    // A pixel is many seconds wide: once a second is as often as anything moves.
    const key = `${app.metrics.seeded.until} ${app.history.version} ${Math.floor(end)} ${app.moment.span.value} ${tone()} ${colours?.bg} ${colours?.spark} ${size?.width}`;
    if (!element || !colours || !size || key === drawn.current) return;
    drawn.current = key;
    const start = app.moment.start();
    sample(app, [metric], [scale], start, end, points);
    const from = begin(points, start, end);
    young?.(from > start ? end - from : 0);
    draw(surface(element, size), points, from, end, colours[tone()], limit, colours.tx3, app.moment.moves.value);
  });
  return <canvas ref={canvas} aria-hidden="true" />;
}

/** A young history takes the whole width: where it begins, or the range does when it fills nearly all of it. */
function begin(points: Sampled, start: number, end: number): number {
  const first = points.y[0]?.findIndex((value) => value !== null) ?? -1;
  const at = first < 0 ? start : (points.x[Math.max(0, first - 1)] as number);
  return at - start < (end - start) * 0.1 ? start : Math.min(at, end - LEAST);
}

function draw(place: Surface | null, points: Sampled, from: number, to: number, colour: string, limit: number | undefined, grey: string, live: boolean): void {
  if (!place) return;
  const { context, width, height } = place;
  const buckets = filled(means(points, from, to), reachOf(points.x, to - from));
  const known = buckets.filter((value) => !Number.isNaN(value));
  if (!known.length) return;
  const top = Math.max(...known, limit !== undefined && limit < Math.max(...known) * 1.6 ? limit : 0) || 1;
  const low = Math.min(...known, top);
  const floor = low > top * 0.5 ? low - (top - low) * 0.4 : 0;
  const x = (index: number) => (index / (POINTS - 1)) * (width - 5) + 1;
  const y = (value: number) => height - 2 - ((value - floor) / (top - floor || 1)) * (height - 7);
  context.lineWidth = 1.25;
  context.strokeStyle = context.fillStyle = colour;
  context.lineJoin = "round";
  curve(context, buckets, x, y);
  context.stroke();
  area(context, buckets, x, height);
  if (limit !== undefined && limit <= top) dotted(context, y(limit), width, grey);
  const last = buckets.findLastIndex((value) => !Number.isNaN(value));
  if (live && last >= POINTS - 2) dot(context, x(last), y(buckets[last] as number));
}

function means(points: Sampled, from: number, to: number): number[] {
  const sums = new Array<number>(POINTS).fill(0);
  const counts = new Array<number>(POINTS).fill(0);
  points.x.forEach((at, index) => {
    const value = points.y[0]?.[index];
    const bucket = Math.min(POINTS - 1, Math.floor(((at - from) / (to - from)) * POINTS));
    if (value == null || bucket < 0) return;
    sums[bucket] = (sums[bucket] as number) + value;
    counts[bucket] = (counts[bucket] as number) + 1;
  });
  return sums.map((sum, index) => (counts[index] ? sum / (counts[index] as number) : Number.NaN));
}

/** Places from one point of a regular step to the next, and one for where within a place they fall. */
export function reachOf(times: readonly number[], span: number): number {
  const [first = 0, second = first + span] = times;
  return Math.ceil((POINTS * (second - first)) / span) + 1;
}

/** Where points are fewer than places between them, places in between are no gaps. */
export function filled(buckets: readonly number[], reach: number): number[] {
  return buckets.map((value, index) => {
    if (!Number.isNaN(value)) return value;
    const before = buckets.slice(Math.max(0, index - reach), index).findLast((each) => !Number.isNaN(each));
    const after = buckets.slice(index + 1, index + 1 + reach).some((each) => !Number.isNaN(each));
    return before !== undefined && after ? before : Number.NaN;
  });
}

function curve(context: CanvasRenderingContext2D, values: number[], x: (index: number) => number, y: (value: number) => number): void {
  context.beginPath();
  let open = false;
  values.forEach((value, index) => {
    if (Number.isNaN(value)) open = false;
    else if (open) context.lineTo(x(index), y(value));
    else {
      context.moveTo(x(index), y(value));
      open = true;
    }
  });
}

function area(context: CanvasRenderingContext2D, values: number[], x: (index: number) => number, height: number): void {
  const first = values.findIndex((value) => !Number.isNaN(value));
  const last = values.findLastIndex((value) => !Number.isNaN(value));
  if (values.slice(first, last + 1).some(Number.isNaN)) return;
  context.lineTo(x(last), height);
  context.lineTo(x(first), height);
  context.globalAlpha = 0.1;
  context.fill();
  context.globalAlpha = 1;
}

function dotted(context: CanvasRenderingContext2D, y: number, width: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(0, Math.round(y) + 0.5);
  context.lineTo(width, Math.round(y) + 0.5);
  context.stroke();
  context.setLineDash([]);
}

function dot(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.arc(x, y, 2, 0, Math.PI * 2);
  context.fill();
}
