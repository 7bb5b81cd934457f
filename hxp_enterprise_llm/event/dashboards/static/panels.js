// Panels as DOM: built once for a dashboard, then only changed where something moved. Text is set as text, never parsed.

import { heat, lines, Scale, sparkline } from "./charts.js";
import { age, count, measure, measured, NONE, number, sentence, stamp } from "./format.js";

const LIVE_WINDOW = 600;

/** An element with a class, text and children. */
export function el(tag, name = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== "") element.textContent = text;
  element.append(...children);
  return element;
}

/** Set text only where it differs: an unchanged node is not laid out again. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Build all panels into the page; answers the views, each with `paint(panel, world)`. */
export function build(panels, stats, rows) {
  const views = new Map();
  const make = (panel, View) => {
    const view = new View(panel.base);
    views.set(panel.base.panel_id, view);
    return view.root;
  };
  stats.replaceChildren();
  rows.replaceChildren();
  const wide = [], narrow = [], gauges = [];
  for (const panel of panels) {
    const { panel_type: type, kind } = panel.base;
    if (type === "stat") stats.append(make(panel, StatView));
    else if (type === "gauge") gauges.push(make(panel, kind === "fault" ? FaultView : GaugeView));
    else if (kind === "fault") narrow.push(make(panel, FaultView));
    else if (kind === "series") wide.push(make(panel, type === "heatmap" ? HeatView : LineView));
    else if (kind === "events") wide.push(make(panel, FeedView));
    else narrow.push(make(panel, TableView));
  }
  if (gauges.length) narrow.unshift(el("section", "panel group", "", head("Load", "now").root, ...gauges));
  rows.append(...arrange(wide, narrow));
  return views;
}

/** Each wide panel with a narrow one beside it while there are any; what is left in pairs. */
function arrange(wide, narrow) {
  const rows = wide.map((panel) => {
    const beside = narrow.shift();
    return beside ? el("div", "row pair", "", panel, beside) : el("div", "row", "", panel);
  });
  while (narrow.length) {
    const pair = narrow.splice(0, 2);
    rows.push(el("div", pair.length > 1 ? "row even" : "row", "", ...pair));
  }
  return rows;
}

function head(title, scope) {
  const fresh = el("span", "fresh");
  return { fresh, root: el("h3", "", "", el("span", "", title), el("span", "scope", scope), fresh) };
}

function scopeOf({ description, unit }) {
  return [description, unit === "ms" ? "" : unit].filter(Boolean).join(", ");
}

const near = (value, limit) => limit !== undefined && value !== null && value >= limit;

/** The age of the data, where it is older than it should be. */
function freshness(element, world) {
  put(element, world.staleFor ? `${age(world.staleFor)} old` : "");
  element.classList.toggle("warn", Boolean(world.staleFor));
}

class StatView {
  constructor(base) {
    this.figure = document.createTextNode(NONE);
    this.unit = el("small", "", base.unit);
    this.meaning = el("p", "meaning");
    this.canvas = el("canvas");
    this.canvas.setAttribute("role", "img");
    this.root = el("section", "stat", "", el("h3", "", base.title), el("p", "value", "", this.figure, this.unit), this.meaning, this.canvas);
  }

  paint(panel, world) {
    const { base, value } = panel;
    const [text, unit] = base.kind === "fault" ? [NONE, ""] : measure(value, base.unit);
    if (this.figure.data !== text) this.figure.data = text;
    put(this.unit, unit);
    const over = near(value, base.limit);
    put(this.meaning, base.kind === "fault" ? base.fault : base.limit === undefined ? (base.description ?? "") : `limit ${measured(base.limit, base.unit)}`);
    this.meaning.title = base.kind === "fault" ? base.fault : "";
    this.meaning.classList.toggle("warn", over || base.kind === "fault");
    this.curve(panel, world, over);
  }

  curve(panel, world, over) {
    const { base, value, window } = panel;
    const name = Object.keys(base.series ?? {})[0];
    if (name === undefined) return;
    const style = { ...world, window, limit: base.limit, near: over, gap: base.step * 3 + 2 };
    sparkline(this.canvas, panel.points(name), style);
    this.canvas.setAttribute("aria-label", `${base.title} ${measured(value, base.unit)}`);
  }
}

class LineView {
  constructor(base) {
    this.head = head(base.title, scopeOf(base));
    this.canvas = el("canvas", "chart");
    this.canvas.setAttribute("role", "img");
    this.canvas.dataset.hover = "time";
    this.scale = new Scale();
    this.root = el("section", "panel", "", this.head.root, this.canvas);
  }

  paint(panel, world) {
    const { base } = panel;
    const names = Object.keys(base.series);
    const series = names.map((name) => [name, panel.points(name)]);
    const window = panel.window || LIVE_WINDOW;
    this.canvas.dataset.window = String(window);
    const spans = world.spans.filter((span) => concerns(span.condition ?? "", names));
    const said = lines(this.canvas, series, { ...world, window, unit: base.unit, limit: base.limit, scale: this.scale, gap: base.step * 3 + 2, spans });
    this.canvas.setAttribute("aria-label", `${base.title}: ${said || "no values yet"}`);
    freshness(this.head.fresh, world);
  }
}

/** Whether a condition speaks of one of these metrics, or of a family of theirs: `latency` of latency_p95. */
function concerns(condition, names) {
  const words = condition.match(/[a-z][a-z0-9_]*/g) ?? [];
  return words.some((word) => names.some((name) => name === word || name.startsWith(word + "_")));
}

class HeatView {
  constructor(base) {
    this.head = head(base.title, scopeOf(base));
    this.canvas = el("canvas", "chart");
    this.canvas.setAttribute("role", "img");
    this.root = el("section", "panel", "", this.head.root, this.canvas);
  }

  paint(panel, world) {
    const names = Object.keys(panel.base.series);
    this.canvas.style.height = `${Math.max(1, names.length) * 26 + 4}px`;
    const said = heat(this.canvas, names.map((name) => [name, panel.points(name)]), world);
    this.canvas.setAttribute("aria-label", `${panel.base.title}: ${said || "nothing yet"}`);
    freshness(this.head.fresh, world);
  }
}

class GaugeView {
  constructor(base) {
    this.value = el("b", "", NONE);
    this.bar = el("i");
    this.root = el("div", "gauge", "", el("p", "", "", el("span", "", base.title), this.value), el("div", "bar", "", this.bar));
  }

  paint({ base, value }) {
    put(this.value, measured(value, base.unit));
    const full = base.unit === "%" ? 100 : (base.limit ?? 1);
    this.bar.style.width = `${value === null ? 0 : Math.min(100, Math.max(0, (100 * value) / full))}%`;
    const over = near(value, base.limit);
    this.bar.classList.toggle("near", over);
    this.value.classList.toggle("warn", over);
  }
}

class TableView {
  constructor(base) {
    this.head = head(base.title, scopeOf(base));
    this.body = el("div", "scroll");
    this.root = el("section", "panel", "", this.head.root, this.body);
  }

  paint({ base }, world) {
    freshness(this.head.fresh, world);
    const { columns = [], rows = [], fault } = base;
    if (fault !== undefined) return this.body.replaceChildren(el("span", "fault", fault));
    if (!rows.length) return this.body.replaceChildren(el("p", "none", "Nothing yet."));
    const cell = (value) => (typeof value === "string" ? value : number(value));
    const heads = el("tr", "", "", ...columns.map((name) => el("th", "", name)));
    const lines = rows.map((row) => el("tr", "", "", ...row.map((value) => el("td", "", cell(value)))));
    return this.body.replaceChildren(el("table", "", "", el("thead", "", "", heads), el("tbody", "", "", ...lines)));
  }
}

class FaultView {
  constructor(base) {
    this.text = el("span", "fault", base.fault);
    this.root = el("section", "panel", "", head(base.title, "cannot be shown").root, this.text);
  }

  paint({ base }) {
    put(this.text, base.fault ?? "");
  }
}

/** The latest events; it stands still while the pointer is over it. */
class FeedView {
  constructor(base) {
    this.head = head(base.title, scopeOf(base));
    this.list = el("div", "feed");
    this.root = el("section", "panel", "", this.head.root, this.list);
    this.limit = Number(/\[(\d+)\]/.exec(base.query)?.[1] ?? 12);
    this.held = null;
    this.top = null;
    this.list.addEventListener("pointerenter", () => (this.held = this.seen));
    this.list.addEventListener("pointerleave", () => (this.held = null));
    this.seen = 0;
  }

  paint(panel, world) {
    const newer = this.held === null ? 0 : panel.received - this.held;
    put(this.head.fresh, world.lost ? "stopped" : newer ? `${count(newer)} newer` : "");
    const latest = panel.lines.at(-1)?.offset ?? 0;
    if (this.held !== null || this.top === latest) return;
    this.top = latest;
    this.seen = panel.received;
    const lines = panel.lines.slice(-this.limit).reverse().map(line);
    this.list.replaceChildren(...(lines.length ? lines : [el("p", "none", "Listening. The first event shows here.")]));
  }
}

function line({ time, type, subject, source, data }) {
  const tint = type.endsWith(".failed") || type === "alert.firing" ? " crit" : type.endsWith(".miss") ? " warn" : "";
  const said = sentence(type, data);
  const text = el("span", "text", said);
  text.title = said;
  const [at, fraction] = stamp(time);
  const kind = el("span", "type" + tint, type);
  kind.title = type;
  return el("div", "line", "", el("time", "", at, el("span", "", fraction)), kind, el("span", "subject", subject ?? source ?? ""), text);
}
