// Panels of a definition. What the live snapshots carry is drawn from them; the rest as the service computed it.

import { LineChart, type LineSeries } from "../charts/LineChart";
import { HeatSeries } from "../charts/HeatSeries";
import { useApp, usePulse } from "../frame/context";
import type { PanelData } from "../data/board";
import { measured } from "../format/alert";
import { exact, limitText, NONE, valuedText } from "../format/number";
import { iso } from "../format/time";
import type { Token } from "../theme/theme";
import { Fixed, FixedLine } from "./Fixed";
import { Gauge } from "./Gauge";
import { Lines } from "./Lines";
import { lacking, nothingYet } from "./nothing";
import { Panel } from "./Panel";
import { Stat } from "./Stat";
import { seriesTable } from "./table";
import { Table } from "./Table";
import type { Tabular } from "./TableBehind";
import { FlowPanel, NetworkPanel } from "./Graphs";

/** Names of metrics that a query means; null when it is another kind of query. */
export function metricsOf(query: string): string[] | null {
  const found = /^\s*metric:([^[\]]+)(?:\[[^\]]*\])?\s*$/.exec(query);
  const names = found?.[1]?.split(",").map((name) => name.trim()) ?? null;
  return names?.some((name) => name.endsWith("*")) ? null : names;
}

export function DefinedStat({ panel }: { panel: PanelData }) {
  const [metric] = metricsOf(panel.query) ?? [];
  if (panel.kind === "fault") return <Faulty panel={panel} />;
  if (!metric) return <Fixed panel={panel} />;
  return <Stat title={panel.title} metric={metric} unit={panel.unit} scale={panel.scale} limit={panel.limit} {...(panel.description ? { meaning: () => panel.description as string } : {})} />;
}

export function DefinedPanel({ panel, span }: { panel: PanelData; span: number }) {
  const table = useTable(panel);
  const { moment } = useApp();
  // Only what the snapshots carry is kept by time.
  const now = moment.mode.value === "past" && !metricsOf(panel.query);
  return (
    <Panel title={panel.title} sub={now ? "as now" : panel.description} span={span} table={table}>
      <Content panel={panel} />
    </Panel>
  );
}

function Content({ panel }: { panel: PanelData }) {
  const metrics = metricsOf(panel.query);
  if (panel.kind === "fault") return <FaultText panel={panel} />;
  if (panel.panel_type === "graph" && metrics) return <LineChart title={panel.title} series={named(metrics)} unit={panel.unit} scale={panel.scale} limit={panel.limit} nothing={nothingYet(panel, "No values in this range.")} />;
  if (panel.panel_type === "graph") return <FixedLine panel={panel} />;
  if (panel.panel_type === "heatmap") return <HeatSeries panel={panel} nothing={nothingYet(panel)} />;
  if (panel.panel_type === "gauge" && metrics?.[0]) return <Gauge title="" of={panel.limit === undefined ? "" : `limit ${limitText(panel.limit, panel.unit)}`} metric={metrics[0]} unit={panel.unit} scale={panel.scale} limit={panel.limit} needs={lacking(metrics[0])} />;
  if (panel.kind === "events") return <Lines events={panel.events ?? []} nothing={nothingYet(panel, "No such events yet.")} />;
  if (panel.kind === "table") return <Rows panel={panel} />;
  if (panel.kind === "flow") return <FlowPanel panel={panel} />;
  if (panel.kind === "network") return <NetworkPanel panel={panel} />;
  return <Fixed panel={panel} />;
}

const QUANTILES: Record<string, Token> = { p50: "q50", p95: "q95", p99: "q99" };

/** Names without what all of them begin or end with: latency_p50, latency_p95 are p50 and p95; those have shades of one colour. */
function named(metrics: readonly string[]): LineSeries[] {
  const names = distinct(metrics).map((name) => name.replaceAll("_", " "));
  const shades = names.every((name) => name in QUANTILES);
  return metrics.map((metric, index) => {
    const name = names[index] as string;
    return shades ? { metric, name, colour: QUANTILES[name] as Token, main: name === "p95" } : { metric, name };
  });
}

/** A window as people write it: "10s" is "10 s", "5m" is "5 min". */
function spanName(name: string): string {
  return name.replace(/^(\d+)([smhd])$/, (_, count: string, unit: string) => `${count} ${unit === "m" ? "min" : unit}`);
}

type Cells = (string | number | null)[];

function distinct(metrics: readonly string[]): readonly string[] {
  const parts = (metrics[0] ?? "").split("_");
  const [head, tail] = [`${parts.slice(0, -1).join("_")}_`, `_${parts.at(-1)}`];
  if (metrics.length < 2 || parts.length < 2) return metrics;
  if (metrics.every((each) => each.startsWith(head))) return metrics.map((each) => each.slice(head.length));
  return metrics.every((each) => each.endsWith(tail)) ? metrics.map((each) => each.slice(0, -tail.length)) : metrics;
}

function Rows({ panel }: { panel: PanelData }) {
  const { metrics } = useApp();
  // Units come with the first snapshot.
  usePulse(() => Object.keys(metrics.units).length, 0);
  const shown = (row: Cells, value: number): string => {
    if (panel.query.startsWith("count:")) return exact(value);
    // A row of a metric has the metric's unit, others that of the panel.
    return String(row[0]) in metrics.units ? measured(String(row[0]), value, metrics.units) : valuedText(value, panel.unit);
  };
  const columns = (panel.columns ?? []).map((name, index) => ({
    name: index ? spanName(name) : name.charAt(0).toUpperCase() + name.slice(1),
    long: index === 0,
    number: index > 0 && (panel.rows ?? []).some((row) => typeof row[index] === "number"),
    cell: (row: Cells) => (typeof row[index] === "number" ? shown(row, row[index] as number) : (row[index] ?? NONE)),
  }));
  // What has no value in any column is not said by a row of dashes.
  const rows = (panel.rows ?? []).filter((row) => row.length < 2 || row.slice(1).some((cell) => cell !== null));
  return <Table label={panel.title} columns={columns} rows={rows} id={(row) => String(row[0])} nothing={nothingYet(panel)} />;
}

function useTable(panel: PanelData): (() => Tabular) | undefined {
  const app = useApp();
  const metrics = metricsOf(panel.query);
  if (metrics && panel.kind !== "fault") return seriesTable(app, metrics, panel.scale);
  if (panel.series) return () => computed(panel);
  if (panel.links) return () => ({ columns: ["from", "to", "value"], rows: (panel.links ?? []).map((link) => [link.source, link.target, link.value]) });
  if (panel.kind === "table") return () => ({ columns: panel.columns ?? [], rows: panel.rows ?? [] });
  return undefined;
}

/** Series that the service computed: the end of each step in UTC, one column for each. */
function computed({ series = {}, start = 0, step = 1 }: PanelData): Tabular {
  const names = Object.keys(series);
  const length = Math.max(0, ...names.map((name) => series[name]?.length ?? 0));
  return { columns: ["time", ...names], rows: Array.from({ length }, (_, index) => [iso(start + (index + 1) * step), ...names.map((name) => series[name]?.[index] ?? null)]) };
}

function Faulty({ panel }: { panel: PanelData }) {
  return (
    <section class="stat" aria-label={panel.title}>
      <h3>{panel.title}</h3>
      <FaultText panel={panel} />
    </section>
  );
}

function FaultText({ panel }: { panel: PanelData }) {
  return <p class="fault-box">{panel.fault}</p>;
}
