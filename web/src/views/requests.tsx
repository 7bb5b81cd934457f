// Requests to models: how many, how fast, how many tokens a second, what fails and why, by model.

import { LineChart } from "../charts/LineChart";
import { useApp, usePulse, useResource } from "../frame/context";
import { route, type View } from "../frame/view";
import { exact, shortText, significant } from "../format/number";
import { fields } from "../format/sentence";
import { Feed } from "../panels/Feed";
import { Panel } from "../panels/Panel";
import { Stat } from "../panels/Stat";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";
import { measured, type Measured, type PastMeasured, usePastMeasured } from "./measured";
import { rangeWords } from "./past";

interface Model {
  model: string;
  requests: number;
  failed_requests: number;
  error_ratio: number | null;
  latency_ms: Quantiles;
  time_to_first_token_ms: Quantiles;
  tokens_per_second: Quantiles;
  errors: Record<string, number>;
}

type Quantiles = { p50: number | null; p95: number | null; p99: number | null } | null;

const FAILED = ["llm.request.failed"];

const COLUMNS: readonly Column<Model>[] = [
  { name: "Model", cell: (row) => row.model },
  { name: "requests", number: true, cell: (row) => exact(row.requests), class: () => "strong" },
  { name: "p50, s", number: true, wide: true, cell: (row) => seconds(row.latency_ms?.p50) },
  { name: "p95, s", number: true, cell: (row) => seconds(row.latency_ms?.p95), class: (row) => ((row.latency_ms?.p95 ?? 0) > 2000 ? "warn" : "") },
  { name: "first token, s", number: true, wide: true, cell: (row) => seconds(row.time_to_first_token_ms?.p50) },
  { name: "tokens/s", number: true, wide: true, cell: (row) => significant(row.tokens_per_second?.p50) },
  { name: "failed", number: true, cell: (row) => exact(row.failed_requests) },
  { name: "errors", number: true, cell: (row) => (row.error_ratio === null ? "–" : `${exact(row.error_ratio * 100, 1)}%`), class: (row) => ((row.error_ratio ?? 0) >= 0.05 ? "crit" : "") },
];

function seconds(ms: number | null | undefined): string {
  return ms == null ? "–" : exact(ms / 1000, 2);
}

function Requests() {
  const app = useApp();
  const model = route.value.query.get("model");
  const chosen = model ? (event: { data?: unknown }) => fields(event.data)["model"] === model : undefined;
  return (
    <>
      <div class="stats">
        <Stat title="Requests" metric="request_rate" unit="/min" scale={60} />
        <Stat title="Error rate" metric="error_rate" unit="%" scale={100} rule="critical_alert" limit={20} />
        <Stat title="Latency p50" metric="latency_p50" unit="ms" />
        <Stat title="Latency p95" metric="latency_p95" unit="ms" rule="performance_warning" limit={2000} />
        <Stat title="Latency p99" metric="latency_p99" unit="ms" />
        <Stat title="Tokens" metric="tokens" unit="/min" />
      </div>
      <div class="row">
        <Panel title="Latency" sub="all models" span={6} table={seriesTable(app, ["latency_p50", "latency_p95", "latency_p99"])}>
          <LineChart title="Latency" unit="ms" limit={2000} rule="performance_warning" series={[{ metric: "latency_p99", name: "p99", colour: "q99" }, { metric: "latency_p95", name: "p95", colour: "q95", main: true }, { metric: "latency_p50", name: "p50", colour: "q50" }]} />
        </Panel>
        <Panel title="Requests" sub="per minute" span={3} table={seriesTable(app, ["request_rate"], 60)}>
          <LineChart title="Requests per minute" unit="/min" scale={60} series={[{ metric: "request_rate", name: "requests" }]} />
        </Panel>
        <Panel title="Error rate" sub="%" span={3} table={seriesTable(app, ["error_rate"], 100)}>
          <LineChart title="Error rate" unit="%" scale={100} limit={20} rule="critical_alert" series={[{ metric: "error_rate", name: "errors" }]} />
        </Panel>
      </div>
      <div class="row">
        <Models />
        <Panel title="Failures" sub="newest first" span={5} >
          <Feed channel="operational_events" lines={11} label="Failed requests" ofOne="type" types={FAILED} {...(chosen ? { filter: chosen } : {})} />
        </Panel>
      </div>
    </>
  );
}

function Models() {
  const app = useApp();
  const { data, state } = useResource<{ models: Model[]; window_hours: number }>("/api/v2/models", 5);
  usePulse(() => (state === "absent" ? app.metrics.version : 0));
  const past = usePastMeasured("model");
  if (past) return <ModelsThen past={past} />;
  const rows = data?.models ?? (state === "absent" ? measured(app.metrics, "model").map(modelOf) : []);
  const errors = rows.flatMap((row) => Object.entries(row.errors).map(([error, count]) => ({ id: `${row.model} ${error}`, model: row.model, error, count })));
  return (
    <Panel title="By model" sub={data ? `last ${exact(data.window_hours)} hours` : "last minute"} span={7} table={() => ({ columns: ["model", "requests", "p95 ms", "tokens a second", "error ratio"], rows: rows.map((row) => [row.model, row.requests, row.latency_ms?.p95 ?? null, row.tokens_per_second?.p50 ?? null, row.error_ratio]) })}>
      <Table label="By model" columns={COLUMNS} rows={rows} id={(row) => row.model} airy nothing="No requests yet." />
      {errors.length ? <p class="quiet small" style={{ marginTop: "8px" }}>Errors: {errors.sort((left, right) => right.count - left.count).slice(0, 5).map((each) => `${each.model} ${each.error} ${shortText(each.count)}`).join(" · ")}</p> : null}
    </Panel>
  );
}

/** Without the platform's own account: what the snapshot has of the last minute. */
function modelOf(row: Measured): Model {
  return {
    model: row.name, requests: Math.round(row.rate), failed_requests: Math.round(row.rate * (row.errors ?? 0)), error_ratio: row.errors,
    latency_ms: { p50: null, p95: row.latency, p99: null }, time_to_first_token_ms: null, tokens_per_second: null, errors: {},
  };
}

const THEN: readonly Column<Measured>[] = [
  { name: "Model", cell: (row) => row.name },
  { name: "req/min", number: true, cell: (row) => significant(row.rate), class: () => "strong" },
  { name: "p95, s", number: true, cell: (row) => seconds(row.latency), class: (row) => ((row.latency ?? 0) > 2000 ? "warn" : "") },
  { name: "tokens/min", number: true, wide: true, cell: (row) => (row.tokens === null ? "–" : exact(Math.round(row.tokens))) },
  { name: "errors", number: true, cell: (row) => (row.errors === null ? "–" : `${exact(row.errors * 100, 1)}%`), class: (row) => ((row.errors ?? 0) >= 0.05 ? "crit" : "") },
];

const NOTHING_THEN = { loading: "–", ready: "No requests in this time.", absent: "Models are not kept by time here.", failed: "The service gives no answer about this time." };

function ModelsThen({ past }: { past: PastMeasured }) {
  const { moment } = useApp();
  const table = () => ({ columns: ["model", "requests a minute", "p95 ms", "tokens a minute", "error ratio"], rows: past.rows.map((row) => [row.name, row.rate, row.latency, row.tokens, row.errors]) });
  return (
    <Panel title="By model" sub={rangeWords(past, moment.now())} span={7} table={table}>
      <Table label="By model" columns={THEN} rows={past.rows} id={(row) => row.name} airy nothing={NOTHING_THEN[past.state]} />
    </Panel>
  );
}

export const requests: View = { id: "requests", title: "Requests", group: "Platform", icon: "pulse", key: "r", body: Requests };
