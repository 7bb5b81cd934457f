// What the page knows: the data answer, and what came after it. No DOM here.

const FOLLOWED = ["analytics.snapshot", "alert.firing", "alert.resolved", "dashboard.refreshed"];
const SPINE_SECONDS = 3600;
const MOST_SPANS = 256;

/** Event types that a dashboard needs: the metrics, the alerts, its refreshes, and what its feeds show. */
export function typesOf(answer) {
  const feeds = answer.panels.filter((panel) => panel.kind === "events").flatMap((panel) => selectors(panel.query));
  return [...new Set([...FOLLOWED, ...feeds])];
}

function selectors(query) {
  return query.replace(/\[.*$/, "").replace(/^[a-z]+:/, "").split(",").map((name) => name.trim());
}

function matches(patterns, type) {
  return patterns.some((p) => p === "*" || p === type || (p.endsWith(".*") && type.startsWith(p.slice(0, -1))));
}

export class Model {
  constructor() {
    this.panels = new Map();
    this.alerts = new Map();
    this.spans = [];
    this.spine = { step: 15, buckets: new Map() };
    this.answer = null;
    this.epoch = "";
    this.revision = null;
    this.offset = null;
    this.delay = null; // milliseconds from an event's time to this page
    this.snapshotAt = null; // milliseconds since 1970 by this page's clock
    this.snapshotTime = null; // unix seconds as the snapshot says
    this.tick = 1;
    this.requests = false; // whether any LLM event was seen
    this.events = 0;
  }

  /** Begin anew with a data answer. Answers whether other panels are shown than before. */
  begin(answer, now = Date.now()) {
    const before = [...this.panels.keys()].join();
    this.answer = answer;
    this.revision = answer.revision;
    this.offset = Math.max(answer.position, answer.head ?? 0);
    const old = answer.epoch === this.epoch ? this.panels : new Map();
    this.epoch = answer.epoch;
    this.panels = new Map(answer.panels.map((panel) => [panel.panel_id, new Panel(panel)]));
    for (const [name, panel] of this.panels) panel.carryOver(old.get(name), answer.position);
    this.alerts = new Map(answer.alerts.map((alert) => [alert.episode, alert]));
    this.spans = answer.spine.spans;
    this.fillSpine(answer.spine);
    this.tick = answer.tick_seconds ?? 1;
    this.snapshotAt = answer.data_age_seconds === null ? null : now - answer.data_age_seconds * 1000;
    this.snapshotTime = this.snapshotAt === null ? null : this.snapshotAt / 1000;
    this.requests ||= [...this.panels.values()].some((panel) => panel.showsRequests());
    return before !== [...this.panels.keys()].join();
  }

  fillSpine({ start, step, values }) {
    this.spine = { step, buckets: new Map() };
    values.forEach((value, index) => {
      if (value !== null) this.spine.buckets.set(start / step + index, { sum: value, count: 1 });
    });
  }

  /** Take one event in. Answers "reload" when the page must ask for its data again. */
  take(event, now = Date.now()) {
    try {
      return this.read(event, now);
    } catch (error) {
      // Anyone who may publish can send what has another form: that costs this one event, not the page.
      console.warn(`event ${event.offset} is left out: ${error.message}`);
      return "";
    }
  }

  read(event, now) {
    this.offset = event.offset;
    this.events += 1;
    const delay = now - Date.parse(event.time);
    this.delay = delay >= 0 && delay < 60000 ? delay : null;
    if (event.type === "analytics.snapshot") return this.snapshot(event.data, now);
    if (event.type === "dashboard.refreshed") return this.refreshed(event.data);
    if (event.type === "alert.firing") this.fire(event);
    if (event.type === "alert.resolved") this.resolve(event);
    this.feed(event);
    return "";
  }

  snapshot(data, now) {
    const first = this.snapshotAt === null;
    const at = Date.parse(data.at) / 1000;
    this.snapshotAt = now;
    this.snapshotTime = at;
    this.tick = data.tick_s ?? 1;
    for (const panel of this.panels.values()) panel.measure(at, data.metrics);
    this.grow(at, data.metrics.throughput);
    return first ? "reload" : "";
  }

  grow(at, value) {
    if (value === null || value === undefined) return;
    const number = Math.floor(at / this.spine.step);
    const bucket = this.spine.buckets.get(number) ?? { sum: 0, count: 0 };
    bucket.sum += value;
    bucket.count += 1;
    this.spine.buckets.set(number, bucket);
    this.spine.buckets.delete(number - SPINE_SECONDS / this.spine.step - 2);
  }

  fire({ data, time }) {
    const episode = data.episode || data.rule;
    if (this.alerts.has(episode)) return;
    const start = [data.since, time].map((text) => Date.parse(text) / 1000).find(Number.isFinite) ?? Date.now() / 1000;
    this.alerts.set(episode, { ...data, episode, since: start, summary: data.summary || data.rule });
    if (this.spans.length >= MOST_SPANS) this.spans.shift();
    this.spans.push({ rule: data.rule, priority: data.priority, condition: data.condition, start, end: null });
  }

  resolve({ data, time }) {
    this.alerts.delete(data.episode || data.rule);
    const span = this.spans.findLast((each) => each.rule === data.rule && each.end === null);
    if (span) span.end = Date.parse(time) / 1000;
  }

  feed(event) {
    this.requests ||= event.type.startsWith("llm.");
    for (const panel of this.panels.values()) panel.feed(event);
  }

  /** A refresh of this dashboard: whole panels, or the difference to the revision that it names. */
  refreshed(data) {
    if (data.dashboard !== this.answer.dashboard || data.revision === this.revision) return "";
    if (data.base !== null && data.base !== this.revision) return "reload";
    if (data.mode === "full" && data.panels.map((panel) => panel.panel_id).join() !== [...this.panels.keys()].join()) return "reload";
    this.revision = data.revision;
    for (const panel of data.panels ?? []) this.panels.get(panel.panel_id)?.replace(panel);
    for (const [name, delta] of Object.entries(data.delta ?? {})) {
      const panel = this.panels.get(name);
      panel?.replace(patched(panel.base, delta));
    }
    return "";
  }
}

/** One panel: what the server sent last, and what came since. */
export class Panel {
  constructor(base) {
    this.live = []; // [unix seconds, {name: value}]
    this.lines = base.kind === "events" ? [...base.events] : [];
    this.patterns = base.kind === "events" ? selectors(base.query) : [];
    this.metrics = base.query.startsWith("metric:") ? selectors(base.query) : [];
    this.received = 0;
    this.replace(base);
  }

  replace(base) {
    this.base = base;
    this.window = base.series ? base.step * Math.max(0, ...Object.values(base.series).map((values) => values.length)) : 0;
    this.seriesEnd = base.series ? base.start + this.window : 0;
    if (this.live.length === 0 || this.metrics.length === 0) this.value = base.value ?? null;
  }

  /** Keep what came after the new base was computed. */
  carryOver(old, position) {
    if (!old || old.base.query !== this.base.query) return;
    if (this.patterns.length) this.lines.push(...old.lines.filter((line) => line.offset > position));
    this.live = old.live.filter(([at]) => at > this.seriesEnd);
    this.received = old.received;
    if (this.live.length && this.metrics.length && this.base.kind === "value") this.value = old.value;
  }

  measure(at, metrics) {
    if (at <= (this.live.at(-1)?.[0] ?? 0)) return; // seen before
    if (this.base.kind !== "value" && this.base.kind !== "series") return;
    const names = this.base.series ? Object.keys(this.base.series) : this.metrics;
    if (!names.some((name) => name in metrics)) return;
    const scaled = (value) => (value === null || value === undefined ? null : value * this.base.scale);
    this.live.push([at, Object.fromEntries(names.map((name) => [name, scaled(metrics[name])]))]);
    while (this.live.length && this.live[0][0] < at - Math.max(this.window, 60)) this.live.shift();
    if (this.base.kind === "value" && this.metrics.length) this.value = scaled(metrics[this.metrics[0]]);
  }

  feed(event) {
    if (!this.patterns.length || !matches(this.patterns, event.type)) return;
    if (event.offset <= (this.lines.at(-1)?.offset ?? 0)) return; // seen before
    this.lines.push(event);
    if (this.lines.length > 50) this.lines.shift();
    this.received += 1;
  }

  /** [[unix seconds, value or null], …] of one name: what the server computed, then each snapshot since. */
  points(name) {
    const { start, step, series } = this.base;
    const values = series?.[name] ?? [];
    const known = values.map((value, index) => [start + (index + 1) * step, value]);
    const since = this.live.filter(([at]) => at > this.seriesEnd).map(([at, all]) => [at, all[name] ?? null]);
    return known.concat(since);
  }

  showsRequests() {
    if (this.base.kind === "events") return this.lines.some((line) => line.type.startsWith("llm."));
    const names = Object.keys(this.base.series ?? {}).filter((name) => name.startsWith("latency"));
    return names.some((name) => this.base.series[name].some((value) => value !== null));
  }
}

/** The object that `delta` makes of `base`: "set", "remove" and "extend" by JSON Pointer. */
export function patched(base, delta) {
  const result = structuredClone(base);
  for (const pointer of delta.remove ?? []) {
    const [owner, key] = find(result, pointer);
    delete owner[key];
  }
  for (const [pointer, value] of Object.entries(delta.set ?? {})) {
    const [owner, key] = find(result, pointer);
    owner[key] = value;
  }
  for (const [pointer, { drop, add }] of Object.entries(delta.extend ?? {})) {
    const [owner, key] = find(result, pointer);
    owner[key] = owner[key].slice(drop).concat(add);
  }
  return result;
}

function find(document, pointer) {
  const parts = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = parts.pop();
  return [parts.reduce((owner, part) => owner[part], document), key];
}
