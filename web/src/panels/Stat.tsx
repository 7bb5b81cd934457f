// A figure: the number, its meaning, its curve. It is painted, not rendered: the component is made once.

import { useEffect, useRef } from "preact/hooks";
import { useApp, usePaint } from "../frame/context";
import { valueAtEnd } from "../charts/sampling";
import { Sparkline } from "../charts/Sparkline";
import { change } from "../format/change";
import { limitText, valued, valuedText } from "../format/number";
import { age } from "../format/time";
import { rangeName } from "../data/moment";
import type { Token } from "../theme/theme";
import { lacking } from "./nothing";
import { ruleOn, severity, toneOf } from "./severity";

interface Props {
  title: string;
  metric: string;
  unit?: string;
  scale?: number;
  limit?: number | undefined;
  /** Rule whose state gives the colour; without it one that fires on the metric, else the limit, in amber. */
  rule?: string;
  /** Words under the number; without it, the change against the mean of the range. */
  meaning?: (value: number) => string;
}

/** Changes a second, at most. */
const PACE = 250;

export function Stat({ title, metric, unit = "", scale = 1, limit: usual, rule: given, meaning }: Props) {
  const app = useApp();
  const rule = given ?? ruleOn(app, metric);
  const number = useRef<HTMLElement>(null);
  const before = useRef<HTMLElement>(null);
  const behind = useRef<HTMLElement>(null);
  const words = useRef<HTMLParagraphElement>(null);
  const span = useRef<HTMLElement>(null);
  const state = useRef({ painted: 0, held: "", tone: "spark" as Token, young: 0 }).current;
  // What fires says its own limit: rules can be changed while they run.
  const own = app.moment.mode.value === "past" ? undefined : app.alerts.limit(rule, metric);
  const limit = own === undefined ? usual : own * scale;
  usePaint(() => {
    if (performance.now() - state.painted < PACE) return;
    state.painted = performance.now();
    const value = valueAtEnd(app, metric) * scale;
    const past = app.moment.mode.value === "past";
    // What is over is grey; beside it stands what is now, and that may need somebody.
    const level = severity(app, past ? app.metrics.at(metric, app.moment.now()) * scale : value, limit, rule);
    state.tone = toneOf(past ? "" : level);
    const shown = kept(app, metric, value) ? valued(value, unit, state.held) : { text: "–", unit };
    state.held = /^[kMG]/.exec(shown.unit)?.[0] ?? "";
    write(number.current, shown.text);
    write(before.current, shown.before ?? "");
    write(behind.current, shown.unit);
    write(words.current, said(value));
    if (words.current) words.current.className = `meaning ${level && past ? `${level}-now` : level}`;
  });

  // A figure that comes while the page is paused is painted too.
  useEffect(() => app.painter.touch(), [app]);

  function said(value: number): string {
    if (!kept(app, metric, value)) return "not kept by time";
    if (Number.isNaN(value)) return app.metrics.latest && app.moment.mode.value !== "past" ? lacking(metric, valueAtEnd(app, "request_rate")) : "";
    if (app.moment.mode.value === "past") {
      const now = app.metrics.at(metric, app.moment.now()) * scale;
      return Number.isNaN(now) ? "" : `now ${valuedText(now, unit)}`;
    }
    if (limit !== undefined && value >= limit * 0.9) return `limit ${limitText(limit, unit)}`;
    if (meaning) return meaning(value);
    const mean = app.metrics.mean(metric, app.moment.start(), app.moment.end()) * scale;
    return value || mean ? change(value, mean, state.young ? "its mean" : `its ${rangeName(app.moment.span.value)} mean`) : "";
  }

  return (
    <section class="stat" aria-label={title} data-metric={metric}>
      <h3>
        {title} <small class="young" ref={span} />
      </h3>
      <p class="value">
        <small class="before" ref={before} />
        <span class="figure" ref={number}>
          –
        </span>
        <small class="unit" ref={behind}>
          {unit}
        </small>
      </p>
      <p class="meaning" ref={words} />
      <Sparkline metric={metric} scale={scale} limit={limit} tone={() => state.tone} young={(seconds) => ((state.young = seconds), write(span.current, seconds ? `last ${age(seconds)}` : ""))} />
    </section>
  );
}

/** Whether a past value can be known: figures that are only passed on in the snapshots have no history. */
function kept(app: ReturnType<typeof useApp>, metric: string, value: number): boolean {
  return app.moment.mode.value !== "past" || !Number.isNaN(value) || app.metrics.declared(metric) || !app.metrics.latest;
}

export function write(element: Element | null, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}
