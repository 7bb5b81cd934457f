// Canvas drawing: sparkline, line chart, heat map, spine. Each call paints one canvas whole.

import { hour, labels, NONE, number, time } from "./format.js";

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const BOLD = FONT.replace("11px", "600 13px");
const NAMES = ["tx1", "tx2", "tx3", "rule", "rule2", "edge", "accent", "crit", "warn", "warn-f", "warn-span", "lost", "lost-f", "lost-span",
  "spark", "spine", "fill", "hatch", "q50", "q95", "q99", "s1", "s2", "s3", "s4", "s5", "h0", "h1", "h2", "h3", "h4", "h5"];

/** The tokens as colours of the theme in force. A probe resolves them, a canvas cannot. */
export function palette() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const colours = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return colours;
}

/** A context in CSS pixels, cleared; null while the canvas has no size. */
function sheet(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  return { context, width, height };
}

/** Lines of [time, value]; a null or a hole of more than three steps breaks them. */
function stroke(context, points, x, y, colour, width, gap) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineJoin = "round";
  context.beginPath();
  let last = null;
  for (const [at, value] of points) {
    if (value !== null) {
      if (last === null || at - last > gap) context.moveTo(x(at), y(value));
      else context.lineTo(x(at), y(value));
      last = at;
    } else last = null;
  }
  context.stroke();
}

function dot(context, x, y, colour, radius = 2.5) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}

const lastOf = (points) => points.findLast(([, value]) => value !== null) ?? null;

export function sparkline(canvas, points, { colours, now, window, limit, near, live, gap }) {
  const paper = sheet(canvas);
  const seen = points.filter(([at, value]) => value !== null && at >= now - window);
  if (!paper || !seen.length) return;
  const { context, width, height } = paper;
  const values = seen.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values, near && limit ? limit : -Infinity);
  const x = (at) => ((at - now + window) / window) * (width - 6);
  const y = (value) => (high === low ? height / 2 : 4 + (1 - (value - low) / (high - low)) * (height - 7));
  const colour = near ? colours["warn-f"] : colours.spark;
  const shown = points.filter(([at]) => at >= now - window);
  area(context, seen, x, y, height, near ? colours["warn-span"] : colours.fill, gap);
  if (near && limit) dashed(context, 0, width, y(limit), colours.tx3, [1.5, 3]);
  stroke(context, shown, x, y, colour, 1.5, gap);
  const end = seen.at(-1);
  if (live) dot(context, x(end[0]), y(end[1]), colour);
}

function area(context, points, x, y, height, colour, gap) {
  context.fillStyle = colour;
  let run = [];
  const close = () => {
    if (run.length > 1) {
      context.beginPath();
      context.moveTo(x(run[0][0]), height);
      for (const [at, value] of run) context.lineTo(x(at), y(value));
      context.lineTo(x(run.at(-1)[0]), height);
      context.fill();
    }
    run = [];
  };
  for (const point of points) {
    if (run.length && point[0] - run.at(-1)[0] > gap) close();
    run.push(point);
  }
  close();
}

function dashed(context, from, to, y, colour, pattern) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.setLineDash(pattern);
  context.beginPath();
  context.moveTo(from, Math.round(y) + 0.5);
  context.lineTo(to, Math.round(y) + 0.5);
  context.stroke();
  context.setLineDash([]);
}

/** A round step for about four gridlines up to `high`. */
function gridStep(high) {
  const rough = high / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
}

function seriesColours(names, colours) {
  const quantiles = names.map((name) => colours[name.match(/p(50|95|99)$/) ? "q" + name.slice(-2) : ""]);
  if (names.length > 1 && quantiles.every(Boolean)) return quantiles;
  if (names.length === 1) return [colours.q95];
  return names.map((_, index) => colours["s" + Math.min(index + 1, 5)]);
}

/** Line chart. `series`: [[name, points], …]; answers a sentence that says what is drawn. */
export function lines(canvas, series, { colours, now, window, unit, limit, scale, live, hover, lostAt, gap, spans }) {
  const paper = sheet(canvas);
  if (!paper) return "";
  const { context, width, height } = paper;
  const shown = series.map(([name, points]) => [name, points.filter(([at]) => at >= now - window && at <= now + 2)]);
  const values = shown.flatMap(([, points]) => points.map(([, value]) => value)).filter((value) => value !== null);
  const highest = Math.max(0, ...values) || (limit ?? 1);
  // A share has an end: no axis goes to 150 %.
  const high = unit === "%" && highest <= 100 ? Math.min(scale.top(highest), 100) : scale.top(highest);
  const left = 44, right = width - 64, top = 16, bottom = height - 20;
  const x = (at) => left + ((at - now + window) / window) * (right - left);
  const y = (value) => bottom - (value / high) * (bottom - top);
  grid(context, high, unit, left, right, y, colours);
  ticks(context, now, window, x, left, right, height - 4, colours);
  const over = limit !== undefined && values.some((value) => value >= limit);
  const limited = limit !== undefined && limit <= high;
  if (limited) dashed(context, left, right, y(limit), over ? colours["warn-f"] : colours.tx3, [4, 3]);
  if (over) overBars(context, shown, limit, x, bottom, colours);
  if (lostAt) hatch(context, Math.max(left, x(lostAt)), right, top, bottom, lostAt, colours);
  for (const span of spans) fires(context, span, x, left, right, top, bottom, colours);
  const tints = seriesColours(shown.map(([name]) => name), colours);
  shown.forEach(([, points], index) => {
    stroke(context, points, x, y, tints[index], index === shown.length - 1 || shown.length === 1 ? 1.8 : 1.5, gap);
    const end = lastOf(points);
    if (end && live) dot(context, x(end[0]), y(end[1]), tints[index]);
  });
  if (limited) limitName(context, "limit " + inUnit(limit, unit, high).join(" "), shown, y(limit) - 5, { x, y, left, right }, over ? colours.warn : colours.tx3);
  const at = hover === null ? null : now - window + Math.min(Math.max(hover, 0), 1) * window;
  if (at !== null) upright(context, x(at), top, bottom, at, colours);
  return ends(context, shown, at, (value) => inUnit(value, unit, high), right, y, top, bottom, tints, colours);
}

function grid(context, high, unit, left, right, y, colours) {
  const step = gridStep(high);
  context.textAlign = "left";
  for (let value = 0; value <= high * 1.0001; value += step) {
    context.fillStyle = colours.rule;
    context.fillRect(left, Math.round(y(value)), right - left, 1);
    context.fillStyle = colours.tx3;
    const inSeconds = unit === "ms" && high >= 1000;
    const text = inSeconds ? (value / 1000).toFixed(step < 500 ? 2 : 1) : value === 0 ? "0" : number(value);
    const last = value + step > high * 1.0001;
    context.fillText(last ? text + (unit === "%" ? "%" : " " + (inSeconds ? "s" : unit)) : text, 0, y(value) + 4);
  }
}

function ticks(context, now, window, x, left, right, y, colours) {
  const wide = right - left < 420 ? 2 : 1;
  const step = (window > 1800 ? 600 : window > 500 ? 120 : 60) * wide;
  context.textAlign = "center";
  context.fillStyle = colours.tx3;
  for (let at = Math.ceil((now - window) / step) * step; at <= now; at += step) {
    if (x(at) > left + 24 && x(at) < right - 24) context.fillText(hour(at), x(at), y);
  }
}

/** The limit's name on its line, where the curves are farthest from it; the right end when it is free there. */
function limitName(context, text, series, top, { x, y, left, right }, colour) {
  const wide = context.measureText(text).width;
  const room = (at) => {
    const near = series.flatMap(([, points]) => points.filter(([when, value]) => value !== null && x(when) > at - 6 && x(when) < at + wide + 6));
    return Math.min(24, ...near.map(([, value]) => Math.abs(y(value) - top + 4)));
  };
  const places = [1, 0.75, 0.5, 0.25, 0].map((share) => left + 8 + share * (right - left - wide - 16));
  context.textAlign = "left";
  context.fillStyle = colour;
  context.fillText(text, places.reduce((best, at) => (room(at) > room(best) ? at : best)), top);
}

/** One unit for the whole chart: seconds when its top reaches one. */
function inUnit(value, unit, high) {
  if (unit !== "ms") return [number(value), unit];
  return high >= 1000 ? [(value / 1000).toFixed(2), "s"] : [number(Math.round(value)), "ms"];
}

/** The time above the limit, on the base line. */
function overBars(context, series, limit, x, bottom, colours) {
  context.fillStyle = colours["warn-f"];
  for (const [name, points] of series) {
    if (series.length > 1 && !name.endsWith("p95")) continue;
    points.forEach(([at, value], index) => {
      const before = points[index - 1];
      if (before && before[1] >= limit && value !== null && value >= limit) context.fillRect(x(before[0]), bottom - 2, x(at) - x(before[0]) + 0.5, 3);
    });
  }
}

function hatch(context, from, to, top, bottom, lostAt, colours) {
  context.save();
  context.beginPath();
  context.rect(from, top, to - from, bottom - top);
  context.clip();
  context.strokeStyle = colours.hatch;
  context.lineWidth = 2;
  for (let at = from - (bottom - top); at < to; at += 8) {
    context.beginPath();
    context.moveTo(at, bottom);
    context.lineTo(at + bottom - top, top);
    context.stroke();
  }
  context.restore();
  context.fillStyle = colours["lost-f"];
  context.fillRect(from, top, 1, bottom - top);
  context.textAlign = from > 200 ? "right" : "left";
  context.fillStyle = colours.lost;
  context.fillText("no data since " + time(lostAt), from + (from > 200 ? -6 : 6), top + 8);
}

function fires(context, span, x, left, right, top, bottom, colours) {
  const at = x(span.start);
  if (at < left || at > right) return;
  context.strokeStyle = colours.edge;
  context.setLineDash([2, 3]);
  context.beginPath();
  context.moveTo(at, top);
  context.lineTo(at, bottom);
  context.stroke();
  context.setLineDash([]);
  const text = `${hour(span.start)} ${span.rule.replaceAll("_", " ")}`;
  const wide = context.measureText(text).width + 10;
  const after = at + wide < right;
  context.textAlign = after ? "left" : "right";
  context.fillStyle = colours.tx2;
  if (after || at - wide > left) context.fillText(text, at + (after ? 5 : -5), top + 12);
}

function upright(context, x, top, bottom, at, colours) {
  context.fillStyle = colours.edge;
  context.fillRect(Math.round(x), top, 1, bottom - top);
  context.textAlign = "center";
  context.fillStyle = colours.tx2;
  context.fillText(time(at), x, top - 5);
}

/** Names and values at the right end, moved apart where they would touch. */
function ends(context, series, at, unitOf, right, y, top, bottom, tints, colours) {
  const names = labels(series.map(([name]) => name));
  const rows = series.map(([name, points], index) => {
    const upto = at === null ? points : points.filter(([when]) => when <= at);
    const point = at === null ? lastOf(points) : (upto.at(-1) ?? null);
    return { name: names[index], key: name, value: point ? point[1] : null, tint: tints[index] };
  });
  const placed = rows.filter((row) => row.value !== null).map((row) => ({ ...row, y: y(row.value) }));
  placed.sort((a, b) => a.y - b.y);
  placed.forEach((row, index) => (row.y = Math.max(row.y, index ? placed[index - 1].y + 28 : top)));
  for (let index = placed.length - 1; index >= 0; index--) {
    const floor = index === placed.length - 1 ? bottom - 4 : placed[index + 1].y - 28;
    placed[index].y = Math.min(placed[index].y, floor);
  }
  context.textAlign = "left";
  for (const row of placed) {
    context.fillStyle = placed.length > 1 && row.tint === colours.q95 ? colours.accent : colours.tx2;
    context.font = FONT;
    context.fillText(row.name, right + 10, row.y - 3);
    context.fillStyle = colours.tx1;
    context.font = BOLD;
    context.fillText(unitOf(row.value)[0], right + 10, row.y + 11);
  }
  context.font = FONT;
  return rows.map((row) => `${row.name || row.key} ${row.value === null ? NONE : unitOf(row.value).join(" ").trim()}`).join(", ");
}

/** Scale of a chart: grows at once, shrinks only after 60 s below half. */
export class Scale {
  constructor() {
    this.high = 0;
    this.below = null;
  }

  top(highest, now = Date.now()) {
    const wanted = gridStep(highest * 1.08) * Math.ceil((highest * 1.08) / gridStep(highest * 1.08));
    if (wanted >= this.high / 2) this.below = null;
    else this.below ??= now;
    if (wanted > this.high || (this.below !== null && now - this.below > 60000)) this.high = wanted;
    return this.high;
  }
}

/** Heat map of counts: a row for each name, darker for more, the row's total at the right. */
export function heat(canvas, series, { colours }) {
  const paper = sheet(canvas);
  if (!paper || !series.length) return "";
  const { context, width, height } = paper;
  const left = Math.min(170, width / 3), right = width - 56;
  const row = Math.min(26, (height - 4) / series.length);
  const all = series.flatMap(([, points]) => points.map(([, value]) => value)).filter((value) => value > 0).sort((a, b) => a - b);
  const step = (value) => (value ? 1 + Math.min(4, Math.floor((5 * all.findIndex((each) => each >= value)) / all.length)) : 0);
  series.forEach(([name, points], index) => {
    const top = index * row;
    context.textAlign = "left";
    context.fillStyle = colours.tx2;
    context.fillText(name, 0, top + row / 2 + 4, left - 10);
    const cell = (right - left) / points.length;
    points.forEach(([, value], column) => {
      context.fillStyle = colours["h" + step(value)];
      context.fillRect(left + column * cell, top, Math.max(1, cell - 1), row - 1);
    });
    context.textAlign = "right";
    context.fillStyle = colours.tx1;
    context.fillText(number(points.reduce((sum, [, value]) => sum + (value ?? 0), 0)), width, top + row / 2 + 4);
  });
  return series.map(([name, points]) => `${name} ${points.reduce((sum, [, value]) => sum + (value ?? 0), 0)}`).join(", ");
}

/** The spine: events a second in slices of the last hour, alerts above, the head at the right. */
export function spine(canvas, { step, buckets }, spans, { colours, now, lit, lostAt, live, empty }) {
  const paper = sheet(canvas);
  if (!paper) return;
  const { context, width, height } = paper;
  const bars = Math.floor((width - 2) / 4), seconds = 3600 / bars, base = height - 16, top = 10;
  const x = (at) => ((at - now + 3600) / 3600) * bars * 4;
  const value = (index) => mean(buckets, (now - 3600 + index * seconds) / step, seconds / step);
  const values = Array.from({ length: bars }, (_, index) => value(index));
  const high = Math.max(...values.filter((each) => each !== null), 1e-9);
  values.forEach((each, index) => {
    if (each === null) return;
    const tall = Math.max(1, (each / high) * (base - top));
    context.fillStyle = index >= bars * (1 - lit) ? (live ? colours.accent : colours.q95) : colours.spine;
    context.fillRect(index * 4, base - tall, 3, tall);
  });
  if (empty) dashed(context, 0, bars * 4, base - 1, colours.tx3, [1.5, 1.5]);
  if (lostAt) {
    context.fillStyle = colours["lost-span"];
    context.fillRect(x(lostAt), top, bars * 4 - x(lostAt), base - top);
  }
  for (const span of spans) marks(context, span, x, bars * 4, colours);
  context.fillStyle = lostAt ? colours["lost-f"] : colours.tx1;
  context.fillRect(bars * 4, top - 6, 2, base - top + 6);
  spineTimes(context, now, x, height, bars * 4, colours);
}

function mean(buckets, from, span) {
  let sum = 0, count = 0;
  for (let number = Math.floor(from); number < from + span; number++) {
    const bucket = buckets.get(number);
    if (bucket) [sum, count] = [sum + bucket.sum / bucket.count, count + 1];
  }
  return count ? sum / count : null;
}

function marks(context, span, x, end, colours) {
  const from = Math.max(0, x(span.start)), to = span.end === null ? end : x(span.end);
  if (to < 0) return;
  context.fillStyle = span.priority === "critical" ? colours.crit : span.priority === "warning" ? colours["warn-f"] : colours.tx3;
  context.fillRect(from, span.priority === "critical" ? 0 : 4, Math.max(2, to - from), 2);
}

function spineTimes(context, now, x, height, end, colours) {
  context.textAlign = "center";
  context.fillStyle = colours.tx3;
  const every = end < 420 ? 1200 : 600;
  for (let at = Math.ceil((now - 3600) / every) * every; at < now; at += every) {
    if (x(at) > 20 && x(at) < end - 90) context.fillText(hour(at), x(at), height - 3);
  }
  context.textAlign = "right";
  context.fillStyle = colours.tx1;
  context.fillText(time(now), end + 2, height - 3);
}
