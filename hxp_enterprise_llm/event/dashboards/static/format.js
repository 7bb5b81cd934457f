// Numbers, units, times and sentences, as the page writes them. Pure: text in, text out.

export const NONE = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** Three significant digits; k, M, G from 10,000. null is "–", never 0. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 9999.5) return large(value);
  if (size >= 99.95) return grouped.format(value);
  if (Number.isInteger(value)) return String(value);
  if (size < 0.0995) return value.toPrecision(2);
  return value.toFixed(size >= 9.995 ? 1 : 2);
}

function large(value) {
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= factor * 0.9995) return digits(value / factor) + " " + unit;
  }
  return grouped.format(value);
}

function digits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

/** A value and its unit apart; milliseconds become seconds from 1 s. */
export function measure(value, unit) {
  if (unit === "ms" && value !== null && value !== undefined && Math.abs(value) >= 1000) {
    return [digits(value / 1000), "s"];
  }
  if (unit === "ms" && value !== null && value !== undefined) return [grouped.format(value), "ms"];
  const [text, factor] = number(value).split(" ");
  return [text, factor ? factor + (unit.startsWith("/") ? "" : " ") + unit : unit];
}

/** A value with its unit in one text. */
export function measured(value, unit) {
  const [text, shown] = measure(value, unit);
  return text === NONE || !shown ? text : shown === "%" || shown.startsWith("/") ? text + shown : text + " " + shown;
}

export function count(value) {
  return value === null || value === undefined ? NONE : grouped.format(value);
}

export function bytes(value) {
  if (value >= 1e9) return (value / 1e9).toFixed(value >= 1e10 ? 0 : 1) + " GB";
  if (value >= 1e6) return Math.round(value / 1e6) + " MB";
  return Math.round(value / 1e3) + " kB";
}

/** Seconds as people say them: 38 s, 3 min 18 s, 2 h 47 min, 3 days. */
export function age(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return whole + " s";
  if (whole < 7200) return Math.floor(whole / 60) + " min" + (whole < 600 && whole % 60 ? " " + (whole % 60) + " s" : "");
  if (whole < 172800) return Math.floor(whole / 3600) + " h " + Math.floor((whole % 3600) / 60) + " min";
  return Math.floor(whole / 86400) + " days";
}

/** Ages up to an hour, clock times beyond. */
export function since(unix, now) {
  return now - unix < 3600 ? age(Math.floor((now - unix) / 60) * 60 || now - unix) : hour(unix);
}

export const time = (unix) => (Number.isFinite(unix) ? clock.format(unix * 1000) : NONE);
export const hour = (unix) => (Number.isFinite(unix) ? short.format(unix * 1000) : NONE);

/** Time of an event: to the second, and its milliseconds. */
export function stamp(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? [NONE, ""] : [clock.format(at), "." + String(at % 1000).padStart(3, "0")];
}

/** Labels without what they all begin and end with: latency_p50, latency_p95 are p50, p95. */
export function labels(names) {
  if (names.length < 2) return names.map(() => "");
  const parts = names.map((name) => name.split(/[_.]/));
  while (parts.every((part) => part.length > 1 && part[0] === parts[0][0])) parts.forEach((part) => part.shift());
  while (parts.every((part) => part.length > 1 && part.at(-1) === parts[0].at(-1))) parts.forEach((part) => part.pop());
  return parts.map((part) => part.join(" "));
}

/** One sentence about an event, of what its data says. */
export function sentence(type, data) {
  if (data === null || data === undefined || typeof data !== "object") return data === undefined || data === null ? "" : String(data);
  if (type.startsWith("llm.request.") && data.model !== undefined) return request(type, data);
  if (type.startsWith("alert.")) return String(data.summary ?? data.rule ?? "");
  if (type === "notification.message") return String(data.message ?? "");
  return Object.entries(data)
    .filter(([, value]) => value !== null && typeof value !== "object")
    .slice(0, 6)
    .map(([key, value]) => key.replaceAll("_", " ") + " " + (typeof value === "number" ? number(value) : value))
    .join(", ");
}

function request(type, data) {
  const took = typeof data.latency_ms === "number" ? measured(data.latency_ms, "ms") : "";
  if (type.endsWith(".failed")) {
    const why = data.error ?? data.reason ?? "failed";
    return data.model + " " + (why === "timeout" ? "timed out" : why) + (took ? " after " + took : "");
  }
  const sum = data.total_tokens ?? (data.input_tokens ?? 0) + (data.output_tokens ?? 0);
  return [data.model, sum ? count(sum) + " tokens" : "", took].filter(Boolean).join(", ");
}
