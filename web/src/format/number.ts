// Numbers as people read them: three significant digits in values, k M G from 10,000, units that do not flicker.

export const NONE = "–";

export interface Shown {
  /** Stands before the number, such as a currency. */
  before?: string;
  text: string;
  /** Stands behind it, small. */
  unit: string;
}

const SCALES: readonly (readonly [number, string])[] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];
const formats = new Map<string, Intl.NumberFormat>();

function format(least: number, most: number): Intl.NumberFormat {
  const key = `${least}.${most}`;
  let known = formats.get(key);
  if (!known) {
    known = new Intl.NumberFormat(undefined, { minimumFractionDigits: least, maximumFractionDigits: most });
    formats.set(key, known);
  }
  return known;
}

/** A whole number, or the given decimals, with separators of the locale. */
export function exact(value: number | null | undefined, decimals = 0): string {
  return isNumber(value) ? format(decimals, decimals).format(clean(value)) : NONE;
}

/** Three significant digits: 1,284 41.6 2.31 0.42; a whole number stays whole. */
export function significant(value: number | null | undefined): string {
  if (!isNumber(value)) return NONE;
  return Number.isInteger(value) ? format(0, 0).format(clean(value)) : digits(value);
}

function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.95) return format(0, 0).format(clean(value));
  if (size >= 9.995) return format(1, 1).format(value);
  if (size >= 0.1) return format(2, 2).format(value);
  return format(0, Math.min(8, 2 - Math.floor(Math.log10(size)))).format(value);
}

/** A count: exact below 10,000, then 58.9 k. `held` is the scale used last; it is left only 10 % beyond the border. */
export function short(value: number | null | undefined, held = ""): Shown {
  if (!isNumber(value)) return { text: NONE, unit: "" };
  const size = Math.abs(value);
  for (const [factor, unit] of SCALES) {
    const border = unit === "k" ? 10_000 : factor;
    if (size >= border * (held === unit ? 0.9 : 1)) return { text: digits(value / factor), unit };
  }
  return { text: significant(value), unit: "" };
}

/** The same in one text: "58.9 k". */
export function shortText(value: number | null | undefined): string {
  const shown = short(value);
  return shown.unit ? `${shown.text} ${shown.unit}` : shown.text;
}

/** A share of one as percent: "1.96", "45.2", "0". */
export function percent(share: number | null | undefined): string {
  return isNumber(share) ? significant(share * 100) : NONE;
}

/** Money: two decimals, up to four below ten cents. null is the word "unknown", never 0. */
export function money(value: number | null | undefined): string {
  if (!isNumber(value)) return "unknown";
  const size = Math.abs(value);
  return format(2, size > 0 && size < 0.1 ? 4 : 2).format(clean(value));
}

/** Money where cents of a large sum say nothing: whole from 100 on. */
export function dollars(value: number): string {
  return Math.abs(value) < 100 ? money(value) : exact(Math.round(value));
}

/** Bytes: "21 GB". */
export function bytes(value: number | null | undefined): string {
  if (!isNumber(value)) return NONE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let rest = value;
  let unit = 0;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? exact(rest) : digits(rest)} ${units[unit]}`;
}

/** A value with the unit that a definition or a snapshot names. What is measured keeps its digits when it happens to be whole. */
export function valued(value: number | null | undefined, unit: string, held = ""): Shown {
  if (unit === "ms") return milliseconds(value);
  if (unit === "%") return { text: measure(value), unit: "%" };
  if (/^(\$|usd)(\/|$)/i.test(unit) && !isNumber(value)) return { text: money(value), unit: "" };
  if (unit === "$" || unit === "usd" || unit === "USD") return { before: "$", text: money(value), unit: "" };
  if (unit.startsWith("$/") || unit.startsWith("usd/")) return { before: "$", text: money(value), unit: unit.slice(unit.indexOf("/")) };
  if (unit === "bytes" || unit === "B") {
    const [text = NONE, word = ""] = bytes(value).split(" ");
    return { text, unit: word };
  }
  const shown = short(value, held);
  if (!shown.unit && /^(\/|1\/)/.test(unit)) shown.text = measure(value);
  const rest = unit === "1/s" ? "/s" : unit;
  return { text: shown.text, unit: joined(shown.unit, rest) };
}

/** A limit, as it was written: "2.00 s", "90%". */
export function limitText(value: number | null | undefined, unit: string): string {
  return unit === "%" ? `${significant(value)}%` : valuedText(value, unit);
}

/** In one text: "2.31 s", "$6.12 /h", "45.2%". */
export function valuedText(value: number | null | undefined, unit: string): string {
  if (!isNumber(value)) return /^(\$|usd)/i.test(unit) ? "unknown" : NONE;
  const { before = "", text, unit: word } = valued(value, unit);
  return `${before}${text}${word === "%" ? "%" : word ? ` ${word}` : ""}`;
}

/** A ratio or a rate: three digits; nothing is 0. */
function measure(value: number | null | undefined): string {
  return isNumber(value) && value !== 0 ? digits(value) : significant(value);
}

function milliseconds(value: number | null | undefined): Shown {
  if (!isNumber(value)) return { text: NONE, unit: "ms" };
  const size = Math.abs(value);
  if (size >= 1000) return { text: digits(value / 1000), unit: "s" };
  return size > 0 && size < 0.9995 ? { text: significant(value * 1000), unit: "µs" } : { text: significant(value), unit: "ms" };
}

/** Units of a column, and what its longest and its shortest time (ms) must have at least. */
const TIMES: readonly (readonly [unit: string, factor: number, longest: number, shortest: number])[] = [["s", 0.001, 100, 10], ["ms", 1, 0.1, 0.01], ["µs", 1000, 0, 0]];

/** Milliseconds from which a column is not in µs, however short the others are: eight million of them are read by nobody. */
const LONG_MS = 100;

/** One unit and equal decimals for a column of milliseconds, so that neither its longest nor, where both have room, its shortest loses its digits. */
export function timeUnit(values: readonly (number | null | undefined)[]): { unit: string; show: (ms: number | null | undefined) => string } {
  const known = values.filter(isNumber).filter((value) => value > 0);
  const [longest, shortest] = [Math.max(...known), Math.min(...known)];
  const [unit, factor] = TIMES.find((each) => longest >= each[2] && (shortest >= each[3] || (each[0] === "ms" && longest >= LONG_MS))) ?? ["s", 0.001];
  const decimals = unit === "s" || longest * factor < 9.995 ? 2 : longest * factor < 99.95 || shortest * factor < 9.995 ? 1 : 0;
  const least = 10 ** -decimals;
  const show = (value: number) => (value > 0 && value < least / 2 ? `<${exact(least, decimals)}` : exact(value, decimals));
  return { unit, show: (ms) => (isNumber(ms) ? show(ms * factor) : NONE) };
}

function joined(scale: string, unit: string): string {
  return unit.startsWith("/") || !scale || !unit ? `${scale}${unit}` : `${scale} ${unit}`;
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** No minus before a zero. */
function clean(value: number): number {
  return value === 0 ? 0 : value;
}
