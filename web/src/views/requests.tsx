// Requests to models: how many, how fast, how many tokens a second, what fails and why, by model.

import { LineChart } from "../charts/LineChart";
import { useApp, usePulse, useResource } from "../frame/context";
import { route, type View } from "../frame/view";
import { exact, shortText } from "../format/number";
import { fields } from "../format/sentence";
import { Command } from "../panels/Command";
import { Feed } from "../panels/Feed";
import { Panel } from "../panels/Panel";
import { Stat } from "../panels/Stat";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";
import { errorColumn, latencyColumns, measuredColumns, measuredTable, nothingThen } from "./columns";
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

const columns = (rows: readonly Model[]): readonly Column<Model>[] => [
  { name: "Model", long: true, cell: (row) => row.model },
  { name: "requests", number: true, cell: (row) => exact(row.requests), class: () => "strong" },
  ...latencyColumns<Model>([["p50", (row) => row.latency_ms?.p50, true], ["p95", (row) => row.latency_ms?.p95], ["first token", (row) => row.time_to_first_token_ms?.p50, true]], rows),
  { name: "tokens/s", number: true, wide: true, cell: (row) => shortText(row.tokens_per_second?.p50) },
  { name: "failed", number: true, wide: true, cell: (row) => exact(row.failed_requests) },
  errorColumn((row) => row.error_ratio),
];

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
      <Table label="By model" columns={columns(rows)} rows={rows} id={(row) => row.model} airy nothing="No requests yet. Send one:" />
      {data && !rows.length ? <Command text="hxp publish llm.request.completed model=mixtral-8x7b input_tokens=812 output_tokens=96 latency_ms=640" /> : null}
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

function ModelsThen({ past }: { past: PastMeasured }) {
  const { moment } = useApp();
  return (
    <Panel title="By model" sub={rangeWords(past, moment.now())} span={7} table={() => measuredTable("model", past.rows)}>
      <Table label="By model" columns={measuredColumns("Model", past.rows, true)} rows={past.rows} id={(row) => row.name} airy nothing={nothingThen("Models", past.state)} />
    </Panel>
  );
}

export const requests: View = { id: "requests", title: "Requests", group: "Platform", icon: "pulse", key: "r", body: Requests };
