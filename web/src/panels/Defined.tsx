// Panels of a definition. What the live snapshots carry is drawn from them; the rest as the service computed it.

import { LineChart, type LineSeries } from "../charts/LineChart";
import { HeatSeries } from "../charts/HeatSeries";
import { useApp } from "../frame/context";
import type { PanelData } from "../data/board";
import { valuedText } from "../format/number";
import { iso } from "../format/time";
import type { Token } from "../theme/theme";
import { Fixed, FixedLine } from "./Fixed";
import { Gauge } from "./Gauge";
import { Lines } from "./Lines";
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
  if (panel.panel_type === "graph" && metrics) return <LineChart title={panel.title} series={named(metrics)} unit={panel.unit} scale={panel.scale} limit={panel.limit} />;
  if (panel.panel_type === "graph") return <FixedLine panel={panel} />;
  if (panel.panel_type === "heatmap") return <HeatSeries panel={panel} />;
  if (panel.panel_type === "gauge" && metrics?.[0]) return <Gauge title="" of={panel.limit === undefined ? "" : `limit ${valuedText(panel.limit, panel.unit)}`} metric={metrics[0]} unit={panel.unit} scale={panel.scale} limit={panel.limit} />;
  if (panel.kind === "events") return <Lines events={panel.events ?? []} />;
  if (panel.kind === "table") return <Rows panel={panel} />;
  if (panel.kind === "flow") return <FlowPanel panel={panel} />;
  if (panel.kind === "network") return <NetworkPanel panel={panel} />;
  return <Fixed panel={panel} />;
}

const QUANTILES: Record<string, Token> = { p50: "q50", p95: "q95", p99: "q99" };

/** Names without what all of them begin with: latency_p50, latency_p95 are p50 and p95; those have shades of one colour. */
function named(metrics: readonly string[]): LineSeries[] {
  const [first = ""] = metrics;
  const common = metrics.length > 1 ? (first.split("_").slice(0, -1).join("_") || "\n") + "_" : "\n";
  const names = metrics.map((metric) => (metrics.every((each) => each.startsWith(common)) ? metric.slice(common.length) : metric));
  const shades = names.every((name) => name in QUANTILES);
  return metrics.map((metric, index) => {
    const name = names[index] as string;
    return shades ? { metric, name, colour: QUANTILES[name] as Token, main: name === "p95" } : { metric, name };
  });
}

function Rows({ panel }: { panel: PanelData }) {
  const columns = (panel.columns ?? []).map((name, index) => ({
    name,
    number: index > 0 && (panel.rows ?? []).some((row) => typeof row[index] === "number"),
    cell: (row: (string | number | null)[]) => (typeof row[index] === "number" ? valuedText(row[index] as number, "") : (row[index] ?? "–")),
  }));
  // What has no value in any column is not said by a row of dashes.
  const rows = (panel.rows ?? []).filter((row) => row.length < 2 || row.slice(1).some((cell) => cell !== null));
  return <Table label={panel.title} columns={columns} rows={rows} id={(row) => String(row[0])} nothing="Nothing in this time." />;
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
