// The page: wires the connection, the model and the views, and paints at most once a frame what changed.

import { palette, spine } from "./charts.js";
import { age, bytes, count, NONE, since, time } from "./format.js";
import { Model, typesOf } from "./model.js";
import { build, el, put } from "./panels.js";
import { Stream } from "./stream.js";

const $ = (id) => document.getElementById(id);
const root = document.documentElement;
const SHAPES = { critical: ["◆", "crit"], warning: ["▲", "warn"] };

const page = {
  model: new Model(),
  views: new Map(),
  stream: null,
  colours: null,
  paused: null, // how many events had come when it was paused
  hover: null, // where the pointer is on the time axis of a chart, 0 to 1
  frame: 0,
  alertsShown: "",
  forced: false, // paint although paused
  poll: 0,
  shapes: "",
  wasGrey: false,
};

function start() {
  restoreTheme();
  page.colours = palette();
  page.stream = new Stream(root.dataset.dashboard, typesOf, {
    data: take,
    event: (event) => {
      if (page.model.take(event) === "reload") page.stream.connect();
      paintSoon();
    },
    state: paintSoon,
  });
  page.stream.connect();
  wire();
  setInterval(paintSoon, 1000);
}

function take(answer) {
  const rebuilt = page.model.begin(answer);
  if (rebuilt || shapes(answer) !== page.shapes) {
    page.shapes = shapes(answer);
    page.views = build([...page.model.panels.values()], $("stats"), $("rows"));
  }
  if (answer.faults.length && !answer.panels.length) showFaults(answer.faults);
  pollUnlessPushed(answer);
  put($("log-size"), `Log ${bytes(answer.log.bytes)}`);
  put($("log-first"), `Kept from offset ${count(answer.log.first)}`);
  paintSoon();
}

/** A dashboard whose refreshes are not sent is asked for them. */
function pollUnlessPushed({ refresh }) {
  clearTimeout(page.poll);
  if (refresh.pushed) return;
  page.poll = setTimeout(async () => {
    try {
      take(await page.stream.fetch());
    } catch {
      pollUnlessPushed({ refresh }); // the stream says when the connection is lost
    }
  }, refresh.interval * 1000);
}

// What decides which view a panel has; a panel that gets a fault, or loses it, is built anew.
const shapes = (answer) => answer.panels.map((panel) => `${panel.panel_id} ${panel.panel_type} ${panel.kind} ${panel.title}`).join();

function showFaults(faults) {
  const lines = faults.map((fault) => el("span", "fault", fault));
  const heading = el("h3", "", "", el("span", "", "This dashboard cannot be shown"));
  $("rows").replaceChildren(el("section", "panel", "", heading, ...lines));
}

/* Painting */

function paintSoon() {
  if (!page.frame && !document.hidden) page.frame = requestAnimationFrame(paint);
}

function paint() {
  page.frame = 0;
  const world = look();
  paintFrame(world);
  if (page.paused !== null && !page.forced) return;
  page.forced = false;
  paintNotice(world);
  paintAlerts(world);
  for (const [id, view] of page.views) {
    const panel = page.model.panels.get(id);
    if (panel) view.paint(panel, world);
  }
  $("empty").hidden = !page.model.answer || page.model.requests || !waitsForRequests();
}

/** Everything that painting depends on besides a panel's own data. */
function look() {
  const { model, stream } = page;
  const lost = stream.state === "lost";
  const quiet = model.snapshotAt === null ? null : (Date.now() - model.snapshotAt) / 1000;
  const late = quiet !== null && quiet > 2 * model.tick + 1;
  // Time is the platform's: a browser whose clock is wrong still draws the newest snapshot at the right edge.
  const now = model.snapshotTime === null ? Date.now() / 1000 : model.snapshotTime + (quiet ?? 0);
  return {
    colours: page.colours,
    now,
    lost,
    lostAt: (lost || late) && model.snapshotTime !== null ? model.snapshotTime : null,
    staleFor: late && !lost ? quiet : 0,
    grey: lost ? stream.lostAt !== null && model.answer !== null : late && quiet > 10 * model.tick,
    live: !lost && !late && page.paused === null,
    spans: model.spans,
    hover: page.hover,
  };
}

function paintFrame(world) {
  const { model, stream } = page;
  const waiting = model.answer !== null && model.snapshotAt === null;
  if (document.body.classList.toggle("stale", Boolean(world.grey)) !== page.wasGrey) {
    page.wasGrey = Boolean(world.grey);
    page.colours = world.colours = palette();
  }
  document.body.classList.toggle("is-live", world.live && !waiting && stream.state === "open");
  document.body.classList.toggle("is-lost", world.lost);
  const ahead = page.paused === null ? "" : `Resume, ${count(model.events - page.paused)} ahead`;
  const state = { connecting: "Connecting", open: waiting ? "Waiting" : "Live", lost: "Reconnecting" }[stream.state];
  put($("live-text"), world.lost ? state : ahead || state);
  put($("offset"), count(model.offset));
  paintLag(world);
  const span = shownSpan();
  put($("fact"), span ? `last ${span === 3600 ? "hour" : age(span)}` : "");
  const style = { ...world, lit: Math.min(1, span / 3600), live: !world.grey, empty: waiting };
  spine($("spine-canvas"), model.spine, model.spans, style);
}

/** Seconds that the charts of this dashboard show: the lit part of the spine. */
function shownSpan() {
  return Math.max(0, ...[...page.model.panels.values()].map((panel) => panel.window));
}

function paintLag(world) {
  const { model, stream } = page;
  const old = world.lost || world.staleFor > 0;
  const quiet = world.lost ? (Date.now() - stream.lostAt) / 1000 : world.staleFor;
  put($("lag-name"), old ? "Age of data" : "Event to screen");
  put($("lag"), old ? age(quiet) : model.delay === null ? NONE : `${count(Math.round(model.delay))} ms`);
  $("lag").classList.toggle("warn", old);
}

function paintNotice(world) {
  const { model, stream } = page;
  $("notice").hidden = !world.lost && !world.staleFor;
  $("retry").hidden = !world.lost;
  if (world.lost) {
    const wait = stream.nextTry === null ? 0 : Math.max(0, Math.ceil((stream.nextTry - Date.now()) / 1000));
    put($("notice-fact"), `Connection lost at ${time(stream.lostAt / 1000)}.`);
    const shown = model.answer ? `You see the last data received. Next try in ${wait} s; it then goes on at offset ${count(model.offset)}.` : `Next try in ${wait} s.`;
    put($("notice-rest"), stream.reason ? `${stream.reason}. ${shown}` : shown);
  } else if (world.staleFor) {
    put($("notice-fact"), `Analytics last answered ${age(world.staleFor)} ago,`);
    put($("notice-rest"), `it should every ${model.tick} s. Figures are from ${time(model.snapshotTime)}.`);
  }
}

function paintAlerts(world) {
  const rank = { critical: 0, warning: 1 };
  const alerts = [...page.model.alerts.values()].sort((a, b) => (rank[a.priority] ?? 2) - (rank[b.priority] ?? 2) || a.since - b.since);
  const said = JSON.stringify([alerts, alerts.map((alert) => since(alert.since, world.now))]);
  if (said === page.alertsShown || !page.model.answer) return;
  page.alertsShown = said;
  const rows = alerts.slice(0, 3).map((alert) => alertRow(alert, world.now));
  if (alerts.length > 3) rows.push(el("p", "calm", `and ${alerts.length - 3} more`));
  $("attention").replaceChildren(...(rows.length ? rows : [el("p", "calm", "Nothing needs you.")]));
  badge(alerts.length);
}

function alertRow(alert, now) {
  const [shape, tint] = SHAPES[alert.priority] ?? ["●", "calm"];
  const mark = el("i", `mark ${tint}`, shape);
  mark.setAttribute("aria-label", alert.priority);
  const text = el("p", "", "", el("b", "", alert.summary), " ", el("code", "", alert.condition ?? ""));
  return el("div", "alert", "", mark, text, el("time", "", since(alert.since, now)));
}

function badge(number) {
  const link = document.querySelector("#dashboards a");
  link?.querySelector(".count")?.remove();
  if (number) link?.append(el("span", "count", String(number)));
  document.title = `${number ? `(${number}) ` : ""}${document.querySelector("h1").textContent} · hxp`;
}

/** Whether this dashboard shows LLM events at all. */
const waitsForRequests = () => [...page.model.panels.values()].some((panel) => panel.patterns.some((name) => name.startsWith("llm.")));

/* Controls */

function wire() {
  $("live").addEventListener("click", pause);
  $("theme").addEventListener("click", switchTheme);
  $("retry").addEventListener("click", () => page.stream.connect());
  $("copy").addEventListener("click", copyCommand);
  addEventListener("keydown", key);
  addEventListener("resize", repaint);
  addEventListener("pointermove", hover, { passive: true });
  document.addEventListener("visibilitychange", paintSoon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}

function key(event) {
  const field = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, button, a");
  if (event.ctrlKey || event.metaKey || event.altKey || (field && event.key === " ")) return;
  if (event.key === " ") {
    event.preventDefault();
    pause();
  } else if (event.key === "d") switchTheme();
  else if (event.key === "l") resume();
}

function pause() {
  if (page.paused !== null) return resume();
  page.paused = page.model.events;
  return repaint();
}

function resume() {
  page.paused = null;
  repaint();
}

/** Paint everything, also while paused: colours or sizes changed, not the data. */
function repaint() {
  page.forced = true;
  paintSoon();
}

/** One upright across all charts at the same time. */
function hover(event) {
  const canvas = event.target instanceof HTMLCanvasElement && event.target.dataset.hover ? event.target : null;
  const before = page.hover;
  page.hover = canvas ? (event.offsetX - 44) / (canvas.clientWidth - 108) : null;
  if (page.hover !== before) repaint();
}

function copyCommand() {
  const range = document.createRange();
  range.selectNodeContents($("command"));
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  // Without a secure context there is no clipboard; the text is selected at least.
  navigator.clipboard?.writeText($("command").textContent).then(() => put($("copy"), "Copied"), () => put($("copy"), "Selected"));
}

function restoreTheme() {
  const chosen = stored();
  if (chosen) root.dataset.theme = chosen;
}

function switchTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // A browser that keeps nothing still switches for this visit.
  }
  recolour();
}

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function recolour() {
  page.colours = palette();
  repaint();
}

start();
