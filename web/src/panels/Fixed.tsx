// Values that the service computed: counts, and whatever the snapshots do not carry.

import { useEffect, useRef } from "preact/hooks";
import { useApp, usePaint } from "../frame/context";
import type { PanelData } from "../data/board";
import type { Moment } from "../data/moment";
import type uPlot from "uplot";
import { makePlot, makeRoom, type Plot, type Span, stepCursor } from "../charts/plot";
import { CalmScale, reaching } from "../charts/scale";
import { axisText, endText, unitary } from "../charts/LineChart";
import { limitText, valued } from "../format/number";
import { theme, type Token } from "../theme/theme";

export function Fixed({ panel }: { panel: PanelData }) {
  const { moment } = useApp();
  const shown = valued(panel.value, panel.unit);
  const warn = panel.limit !== undefined && (panel.value ?? 0) >= panel.limit;
  return (
    <section class="stat" aria-label={panel.title} data-panel-id={panel.panel_id}>
      <h3>{panel.title}</h3>
      <p class="value">
        {shown.before ? <small class="before">{shown.before}</small> : null}
        <span class="figure">{shown.text}</span>
        <small class="unit">{shown.unit}</small>
      </p>
      <p class={`meaning ${warn ? "warn" : ""}`}>{warn ? `limit ${limitText(panel.limit, panel.unit)}` : moment.mode.value === "past" ? "as now" : panel.description}</p>
    </section>
  );
}

const COLOURS: readonly Token[] = ["s1", "s2", "s3", "s4", "s5"];

/** A curve that the service computed; five lines at most, the largest. `spans`: episodes to tint. `colour`: of a single line. */
export function FixedLine({ panel, spans = [], colour = "accent" }: { panel: PanelData; spans?: readonly Span[]; colour?: Token }) {
  const app = useApp();
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<{ u: uPlot; plot: Plot; axis: CalmScale } | null>(null);
  const columns = useRef<(number | null)[][]>([]);
  const drawn = useRef("");
  const names = largest(panel);
  useEffect(() => {
    const element = host.current as HTMLDivElement;
    const axis = new CalmScale();
    const plot = plotOf(names, panel.unit, colour, axis, app.moment, (line, at) => columns.current[line]?.[at] ?? null);
    const u = makePlot(element, plot, [[], ...names.map(() => [])]);
    chart.current = { u, plot, axis };
    drawn.current = "";
    const sized = new ResizeObserver(() => element.clientWidth && u.setSize({ width: element.clientWidth, height: element.clientHeight }));
    sized.observe(element);
    return () => (sized.disconnect(), u.destroy());
  }, [names.join(), panel.unit, colour]);
  usePaint(() => {
    const known = chart.current;
    const key = `${panel.start} ${panel.step} ${theme.value} ${app.link.state.value} ${JSON.stringify(panel.series)?.length} ${JSON.stringify(panel.series)?.slice(-40)} ${JSON.stringify(spans)}`;
    if (!known || key === drawn.current) return;
    drawn.current = key;
    columns.current = names.map((name) => panel.series?.[name] ?? []);
    const x = (columns.current[0] ?? []).map((_, index) => (panel.start ?? 0) + (index + 1) * (panel.step ?? 1));
    known.plot.from = panel.start ?? 0;
    known.plot.to = x.at(-1) ?? 1;
    known.plot.most = Math.max(0, ...columns.current.flat().map((value) => value ?? 0));
    known.plot.top = known.axis.fit(reaching(known.plot.most, panel.limit) || (panel.limit ?? unitary(panel.unit)), performance.now() / 1000, panel.unit);
    known.plot.limit = panel.limit;
    known.plot.limitText = limitText(panel.limit, panel.unit);
    known.plot.spans = spans;
    known.u.setData([x, ...columns.current]);
    makeRoom(known.u, known.plot);
  });
  const pressed = (event: KeyboardEvent) => {
    if (!chart.current || stepCursor(chart.current.u, event.key, event.shiftKey) === undefined) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const any = names.some((name) => panel.series?.[name]?.some((value) => value !== null));
  return (
    <div class="chart" ref={host} role="img" tabIndex={0} onKeyDown={pressed} aria-label={`${panel.title}: ${names.join(", ")}`}>
      {any ? null : <p class="said">{panel.series ? "No values in this range." : "–"}</p>}
    </div>
  );
}

function largest(panel: PanelData): string[] {
  const sum = (name: string) => (panel.series?.[name] ?? []).reduce<number>((total, value) => total + (value ?? 0), 0);
  return Object.keys(panel.series ?? {}).sort((left, right) => sum(right) - sum(left)).slice(0, 5).sort();
}

function plotOf(names: readonly string[], unit: string, colour: Token, axis: CalmScale, moment: Moment, read: (line: number, at: number) => number | null): Plot {
  const plot: Plot = {
    lines: names.map((name, index) => ({ name, colour: names.length === 1 ? colour : (COLOURS[index] ?? "s5"), ...(names.length === 1 ? { main: true, fill: colour === "accent" } : {}) })),
    right: 0, longest: 0, from: 0, to: 1, top: axis.fit(0, 0), limit: undefined, limitText: "", limitAt: 0, most: 0, spans: [], tinted: true, live: false, gaps: [], gapSince: null, gapText: "",
    value: (line, at) => endText(at === null ? null : read(line, at), plot.top, unit),
    axis: (value, topmost) => axisText(value, plot.top, unit, topmost),
    chosen: (from, to) => moment.look(from, to),
  };
  return plot;
}
