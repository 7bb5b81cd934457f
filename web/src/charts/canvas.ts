// A canvas as large as its element, in device pixels; drawing is in CSS pixels.

import { measured, type Size } from "./size";

export interface Surface extends Size {
  context: CanvasRenderingContext2D;
}

/** The surface of a canvas, cleared; null while it has no size. `size`: where it is known. */
export function surface(canvas: HTMLCanvasElement, { width, height }: Size = measured(canvas)): Surface | null {
  const context = canvas.getContext("2d");
  if (!width || !height || !context) return null;
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Diagonal lines over a stretch without data. */
export function hatch(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number, colour: string): void {
  if (width <= 0) return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 6 * Math.SQRT2) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}
