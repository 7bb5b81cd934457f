// A past range, clearly not live, beside what is now.

import { useState } from "preact/hooks";
import { LineChart } from "../charts/LineChart";
import { useApp, usePulse } from "../frame/context";
import type { View } from "../frame/view";
import { valuedText } from "../format/number";
import { iso } from "../format/time";
import { Panel } from "../panels/Panel";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";

const METRICS: readonly (readonly [metric: string, title: string, unit: string, scale: number])[] = [
  ["throughput", "Events", "/s", 1], ["request_rate", "Requests", "/min", 60], ["error_rate", "Error rate", "%", 100],
  ["latency_p95", "Latency p95", "ms", 1], ["tokens", "Tokens", "/min", 1], ["cpu_percent", "CPU", "%", 1],
];

interface Row {
  title: string;
  then: string;
  now: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Measure", cell: (row) => row.title },
  { name: "mean of the range", number: true, cell: (row) => row.then, class: () => "strong" },
  { name: "now", number: true, cell: (row) => row.now },
];

function History() {
  const app = useApp();
  const { moment, metrics } = app;
  usePulse(() => `${metrics.version} ${moment.fixed.value} ${moment.span.value}`);
  const rows = METRICS.map(([metric, title, unit, scale]) => ({
    title,
    then: valuedText(metrics.mean(metric, moment.start(), moment.end()) * scale, unit),
    now: valuedText(metrics.at(metric, moment.now()) * scale, unit),
  }));
  return (
    <>
      <div class="row">
        <Panel title="Look at another time" span={5}>
          <Range />
          <p class="small quiet" style={{ marginTop: "8px" }}>
            Or drag in the strip above, or in any curve. Arrow keys step, + and − zoom. {app.serves("/analytics/range") ? "" : "This service keeps the last hour; longer ranges come with the history of event processing."}
          </p>
        </Panel>
        <Panel title="Then and now" span={7} table={() => ({ columns: ["measure", "then", "now"], rows: rows.map((row) => [row.title, row.then, row.now]) })}>
          <Table label="Then and now" columns={COLUMNS} rows={rows} id={(row) => row.title} />
        </Panel>
      </div>
      {[METRICS.slice(0, 3), METRICS.slice(3)].map((group, index) => (
        <div class="row" key={index}>
          {group.map(([metric, title, unit, scale]) => (
            <Panel title={title} sub={unit === "ms" ? undefined : unit} span={4} key={metric} table={seriesTable(app, [metric], scale)}>
              <LineChart title={title} series={[{ metric, name: title.toLowerCase() }]} unit={unit} scale={scale} low />
            </Panel>
          ))}
        </div>
      ))}
    </>
  );
}

function Range() {
  const { moment } = useApp();
  const [from, setFrom] = useState(field(moment.start()));
  const [to, setTo] = useState(field(moment.end()));
  const [begin, end] = [Date.parse(from) / 1000, Date.parse(to) / 1000];
  const possible = end > begin;
  const look = (event: Event) => {
    event.preventDefault();
    if (possible) moment.look(begin, end);
  };
  return (
    <form class="range" onSubmit={look}>
      <label>
        From <input class="field" type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
      </label>
      <label>
        To <input class="field" type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
      </label>
      <button type="submit" class="button main">
        Look
      </button>
      {possible ? null : <p class="small warn" role="alert">The end must be after the beginning.</p>}
    </form>
  );
}

/** Local time, as the field wants it. */
function field(at: number): string {
  return iso(at - new Date(at * 1000).getTimezoneOffset() * 60).slice(0, 16);
}

export const history: View = { id: "history", title: "History", group: "", icon: "clock", key: "h", body: History };
