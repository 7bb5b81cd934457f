// What somebody looks at all day: what needs a person, six figures, latency, models, the latest events, memory, the host.

import { LineChart } from "../charts/LineChart";
import { useApp, usePulse } from "../frame/context";
import type { View } from "../frame/view";
import { money, percent } from "../format/number";
import { age, duration } from "../format/time";
import { Attention } from "../panels/Attention";
import { Empty } from "../panels/Empty";
import { Feed, FeedRate } from "../panels/Feed";
import { Bar, Gauge } from "../panels/Gauge";
import { Panel } from "../panels/Panel";
import { Stat } from "../panels/Stat";
import { seriesTable } from "../panels/table";
import { Table } from "../panels/Table";
import { measuredColumns, measuredTable, nothingThen } from "./columns";
import { measured, usePastMeasured } from "./measured";
import { rangeWords } from "./past";
import { readTiers, useTiers } from "./tiers";

const LATENCY = [
  { metric: "latency_p99", name: "p99", colour: "q99" },
  { metric: "latency_p95", name: "p95", colour: "q95", main: true },
  { metric: "latency_p50", name: "p50", colour: "q50" },
] as const;

function Overview() {
  const app = useApp();
  usePulse(() => app.metrics.latest?.events_total ?? Number.NaN);
  // Our own snapshots and the host's figures are no traffic of the platform.
  const empty = app.booted.value && app.metrics.latest !== null && !app.metrics.latest.metrics["tokens"] && app.metrics.latest.metrics["latency_p50"] == null && app.feed("operational_events").lines.length === 0;
  return (
    <>
      <Attention />
      <div class="stats">
        <Stat title="Events" metric="throughput" unit="/s" />
        <Stat title="Requests" metric="request_rate" unit="/min" scale={60} />
        <Stat title="Error rate" metric="error_rate" unit="%" scale={100} rule="critical_alert" limit={20} />
        <Stat title="Latency p95" metric="latency_p95" unit="ms" rule="performance_warning" limit={2000} />
        <Stat title="Tokens" metric="tokens" unit="/min" meaning={() => "in and out"} />
        {app.metrics.ring.has("cost_usd_hour") ? (
          <Stat key="cost" title="Cost" metric="cost_usd_hour" unit="$/h" meaning={() => `$${money(app.metrics.at("cost_usd_today", app.moment.end()))} today`} />
        ) : (
          <Stat key="sources" title="Active sources" metric="active_sources" unit="" meaning={() => "in the last minute"} />
        )}
      </div>
      {empty ? <Empty /> : null}
      <div class="row">
        <Panel title="Request latency" sub="all models" span={8} table={seriesTable(app, LATENCY.map((each) => each.metric))}>
          <LineChart title="Request latency" series={LATENCY} unit="ms" limit={2000} rule="performance_warning" nothing="No requests yet. Quantiles are drawn from the first request on." />
        </Panel>
        <Models />
      </div>
      <div class="row">
        <Panel title="Latest events" sub="operational_events" span={7} right={<FeedRate channel="operational_events" />}>
          <Feed channel="operational_events" lines={10} />
        </Panel>
        <Tiers />
        <Host />
      </div>
    </>
  );
}

function Models() {
  const app = useApp();
  usePulse(() => app.metrics.version);
  const past = usePastMeasured("model");
  const rows = (past ? past.rows : measured(app.metrics, "model")).slice(0, 8);
  return (
    <Panel title="Models" sub={past ? rangeWords(past, app.moment.now()) : "last minute"} span={4} table={() => measuredTable("model", rows)}>
      <Table label="Models" columns={measuredColumns("Model", rows)} rows={rows} id={(row) => row.name} airy nothing={past ? nothingThen("Models", past.state) : "No requests in the last minute."} />
    </Panel>
  );
}

function Tiers() {
  const app = useApp();
  const { answer, time, missing } = useTiers(10);
  const { tiers, nothing } = readTiers(answer);
  const past = app.moment.mode.value === "past";
  return (
    <Panel title="Memory tiers" sub={past ? time.replace(", whole hours", "") : "share of reads answered"} span={3}>
      {tiers.length ? (
        <>
          {tiers.map((tier) => <Bar key={tier.name} title={tier.name} of={tier.latency === null ? "" : duration(tier.latency / 1000)} share={tier.share} />)}
          {nothing === null ? null : <Bar title="Nothing found" share={nothing} warn={nothing > 0.1} />}
        </>
      ) : (
        <p class="panel-said">{past ? missing || "–" : <>No reads of memory yet. They come as <code>memory.tier.access</code>.</>}</p>
      )}
    </Panel>
  );
}

function Host() {
  const app = useApp();
  const silent = () => app.metrics.latest !== null && app.metrics.latest.metrics["cpu_percent"] == null;
  usePulse(() => `${Math.floor(app.age() / 5)} ${silent()}`);
  // A past range may have what the present has not.
  const read = !silent() || app.moment.mode.value === "past";
  const old = app.age() > 3 * app.metrics.tick + 2 ? app.age() : 0;
  return (
    <Panel title="Host" sub={app.boot.node} span={2} right={old ? <span class="warn">{age(old)} old</span> : null}>
      {read ? (
        <>
          <Gauge title="CPU" metric="cpu_percent" />
          <Gauge title="Memory" metric="memory_percent" />
          <Gauge title="Disk" metric="disk_percent" />
        </>
      ) : (
        <p class="panel-said">No readings now. They come as <code>host.cpu</code> and its like, unless <code>sources.host</code> is switched off.</p>
      )}
    </Panel>
  );
}

function Fact() {
  const app = useApp();
  usePulse(() => Math.round((app.metrics.latest?.metrics["error_rate"] ?? 0) * 1000));
  const share = app.metrics.latest?.metrics["error_rate"];
  return share && app.moment.mode.value !== "past" ? <>{percent(share)}% of requests fail</> : null;
}

export const overview: View = { id: "overview", title: "Operational overview", group: "", icon: "bars", key: "o", body: Overview, fact: Fact };
