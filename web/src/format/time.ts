// Times in the viewer's zone and in the locale's clock; ages up to an hour, clock times beyond. All times are unix seconds.

const cached = new Map<string, Intl.DateTimeFormat>();
/** Whether the locale's clock has twelve hours: it has no zero before the hour, one of 24 has. */
export const HALVES = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hourCycle?.startsWith("h1") ?? false;
const HOUR = HALVES ? "numeric" : "2-digit";

function formatted(at: number, key: string, options: Intl.DateTimeFormatOptions): string {
  let known = cached.get(key);
  if (!known) {
    known = new Intl.DateTimeFormat(undefined, options);
    cached.set(key, known);
  }
  return known.format(at * 1000);
}

/** "14:32" */
export function minute(at: number): string {
  return formatted(at, "minute", { hour: HOUR, minute: "2-digit" });
}

/** "14:32:08" */
export function second(at: number): string {
  return formatted(at, "second", { hour: HOUR, minute: "2-digit", second: "2-digit" });
}

/** "14:32:08.114" */
export function millisecond(at: number): string {
  return formatted(at, "millisecond", { hour: HOUR, minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
}

/** When an event of a list was: "14:32:08.114" today, "Tue 17:40" or "7 May" before. */
export function stamp(at: number): string {
  const now = Date.now() / 1000;
  return sameDay(at, now) || at > now ? millisecond(at) : since(at, now);
}

/** "14 May" */
export function day(at: number): string {
  return formatted(at, "day", { day: "numeric", month: "short" });
}

/** "14 May, 14:32:08 GMT+2", for tooltips */
export function full(at: number): string {
  return formatted(at, "full", { dateStyle: "medium", timeStyle: "long" });
}

/** A duration in words: "16 µs" "640 ms" "2.31 s" "3 min 18 s" "2 h 47 min" "3 days". */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds < 0.0009995) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(Math.max(0, seconds) * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 && !Number.isInteger(seconds) ? seconds.toFixed(2) : Math.round(seconds)} s`;
  if (seconds < 7200) return pair(Math.floor(seconds / 60), "min", Math.round(seconds % 60), "s");
  if (seconds < 172800) return pair(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return `${Math.floor(seconds / 86400)} days`;
}

function pair(whole: number, unit: string, rest: number, restUnit: string): string {
  if (rest === 60) return `${whole + 1} ${unit}`;
  return rest ? `${whole} ${unit} ${rest} ${restUnit}` : `${whole} ${unit}`;
}

/** A short age: "12 s" "4 min" "3 h" "2 d"; nothing that changes each second beyond a minute. */
export function age(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** When something was, seen from `now`: an age up to an hour, "14:21", "Tue 17:40" within a week, then "7 May". */
export function since(at: number, now: number): string {
  const gone = now - at;
  if (gone < 3600) return age(gone);
  if (sameDay(at, now)) return minute(at);
  if (gone < 6 * 86400) return `${formatted(at, "weekday", { weekday: "short" })} ${minute(at)}`;
  return day(at);
}

/** When something will be: "16:30" today, "Sat 06:00" within a week, then "7 May, 06:00". */
export function clock(at: number, now: number): string {
  if (sameDay(at, now)) return minute(at);
  return at - now < 6 * 86400 ? `${formatted(at, "weekday", { weekday: "short" })} ${minute(at)}` : `${day(at)}, ${minute(at)}`;
}

export function sameDay(left: number, right: number): boolean {
  return new Date(left * 1000).toDateString() === new Date(right * 1000).toDateString();
}

/** ISO 8601 in UTC, for exports. */
export function iso(at: number): string {
  return new Date(at * 1000).toISOString();
}

/** Unix seconds of an RFC 3339 text; NaN when it is none. */
export function parsed(text: string | null | undefined): number {
  return text ? Date.parse(text) / 1000 : Number.NaN;
}

const STEPS = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** Round times between `from` and `to`, about `most` of them, in the viewer's zone. */
export function ticks(from: number, to: number, most: number): number[] {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? 604800 * 4;
  const shift = step >= 3600 ? new Date(to * 1000).getTimezoneOffset() * 60 : 0;
  const places: number[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) places.push(at);
  return places;
}

/** What stands at a tick of a span: seconds within three minutes, days beyond two days. */
export function tickText(at: number, span: number): string {
  if (span <= 180) return second(at);
  const date = new Date(at * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  return span > 172800 || (span > 43200 && midnight) ? day(at) : minute(at);
}
