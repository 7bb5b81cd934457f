// Changes in words against a named base.

import { significant } from "./number";

/** "11% above yesterday", "4.7 times yesterday", "as yesterday" within 2 %; empty without both. */
export function change(now: number | null | undefined, base: number | null | undefined, name: string): string {
  if (now == null || base == null || !Number.isFinite(now) || !Number.isFinite(base)) return "";
  if (base === 0) return now === 0 ? `as ${name}` : `above ${name}`;
  if (now === 0) return `below ${name}`;
  const ratio = now / base;
  if (Math.abs(ratio - 1) <= 0.02) return `as ${name}`;
  if (ratio >= 2) return `${significant(Math.round(ratio * 10) / 10).replace(/[.,]?0+$/, "")} times ${name}`;
  const part = Math.round(Math.abs(ratio - 1) * 100);
  return `${part}% ${ratio > 1 ? "above" : "below"} ${name}`;
}
