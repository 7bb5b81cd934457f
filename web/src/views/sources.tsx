// Where events come from: each source with its state, its history, what is wrong and what to do.

import { StateHistory } from "../charts/StateHistory";
import { LineChart } from "../charts/LineChart";
import { useApp, usePulse, useResource } from "../frame/context";
import { route, type View, writeAddress } from "../frame/view";
import { exact } from "../format/number";
import { parsed, second, since } from "../format/time";
import { Mark } from "../panels/Mark";
import { Panel } from "../panels/Panel";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";
import { signal } from "@preact/signals";

export interface SourceState {
  state: "starting" | "ok" | "failing" | "away";
  since: string;
  reason: string;
  failures: number;
  stale: boolean;
  last_answer: string | null;
  next_try: string;
  items: number;
  history: { state: SourceState["state"]; at: string; reason: string }[];
}

type Row = SourceState & { name: string };

const MARKS: Record<SourceState["state"], string> = { starting: "pending", ok: "connected", failing: "slow", away: "away" };
const WORDS: Record<SourceState["state"], string> = { starting: "starting", ok: "connected", failing: "failing", away: "away" };
const refused = signal("");

function Sources() {
  const app = useApp();
  const { state, data, ask } = useResource<{ sources: Record<string, SourceState> }>("/sources/status", 2);
  usePulse(() => Math.floor(app.moment.now()));
  const rows: Row[] = Object.entries(data?.sources ?? {}).map(([name, each]) => ({ ...each, name }));
  const chosen = rows.find((row) => row.name === route.value.query.get("source")) ?? rows.find((row) => row.state === "away");
  const now = app.moment.now();
  return (
    <>
      {rows.length ? (
        <div class="row">
          <Panel title="Where events come from" sub="state as far as it is remembered" table={() => ({ columns: ["source", "state", "since", "last answer", "failures"], rows: rows.map((row) => [row.name, row.state, row.since, row.last_answer, row.failures]) })}
            right={<Legend />}>
            <Table label="Sources" columns={columns(now)} rows={rows} id={(row) => row.name} airy selected={chosen?.name ?? null} pick={(row) => writeAddress({ source: row.name })} />
            {chosen ? <Chosen row={chosen} now={now} ask={ask} /> : null}
          </Panel>
        </div>
      ) : (
        <Intake absent={state === "absent"} />
      )}
      <div class="row">
        <Panel title="Events" sub="per second, all sources" span={4} table={seriesTable(app, ["throughput"])}>
          <LineChart title="Events per second" series={[{ metric: "throughput", name: "events", main: true }]} unit="/s" low />
        </Panel>
        <Panel title="Active sources" sub="in the last minute" span={4} table={seriesTable(app, ["active_sources"])}>
          <LineChart title="Active sources" series={[{ metric: "active_sources", name: "sources", main: true }]} low />
        </Panel>
        <Panel title="Lately" span={4}>
          <Lately rows={rows} now={now} />
        </Panel>
      </div>
    </>
  );
}

function columns(now: number): Column<Row>[] {
  return [
    { name: "Source", cell: (row) => row.name, class: () => "strong" },
    { name: "state", cell: (row) => <><Mark of={MARKS[row.state]} label="" /> {WORDS[row.state]}</>, class: (row) => (row.state === "away" ? "crit" : row.state === "failing" ? "warn" : "") },
    { name: "history", wide: true, cell: (row) => <StateHistory changes={row.history.map((each) => ({ at: parsed(each.at), state: each.state }))} now={now} span={86400} /> },
    { name: "items", number: true, wide: true, cell: (row) => exact(row.items) },
    { name: "last answer", number: true, cell: (row) => (row.last_answer ? since(parsed(row.last_answer), now) : "–"), class: (row) => (row.stale ? "warn" : "") },
    { name: "failures", number: true, wide: true, cell: (row) => exact(row.failures) },
  ];
}

function Legend() {
  return (
    <>
      {(["connected", "slow", "away", "off"] as const).map((each) => (
        <span key={each}>
          <Mark of={each} label="" /> {each}
        </span>
      ))}
    </>
  );
}

function Chosen({ row, now, ask }: { row: Row; now: number; ask: () => void }) {
  const app = useApp();
  const next = parsed(row.next_try) - now;
  const retry = async () => {
    refused.value = "";
    await app.api.post(`/sources/${encodeURIComponent(row.name)}/retry`, {}).catch((error: Error) => (refused.value = error.message));
    ask();
  };
  return (
    <div class="opened" role="region" aria-label={row.name}>
      <div class="notice">
        <p>
          <b>{row.name} {row.state === "ok" ? "answers." : row.state === "starting" ? "has not answered yet." : row.state === "failing" ? "does not answer as it should." : "is away."}</b> {row.reason}{" "}
          <span class="quiet">
            {WORDS[row.state]} since {since(parsed(row.since), now)}. {next > 0 ? `Next try in ${exact(Math.ceil(next))} s.` : ""}
          </span>
        </p>
        <button type="button" class="button main" onClick={() => void retry()}>
          Try now
        </button>
      </div>
      {refused.value ? <p class="fault-box" role="alert">{refused.value}</p> : null}
    </div>
  );
}

interface Health {
  parts: Record<string, { status: string; reason?: string }>;
}

/** Without pollers: the ways in that are always there. */
function Intake({ absent }: { absent: boolean }) {
  const { data } = useResource<Health>("/health", 5);
  return (
    <div class="row">
      <Panel title="Ways in" sub="of this service" span={7}>
        <ul class="ready">
          {Object.entries(data?.parts ?? {}).map(([name, { status, reason }]) => (
            <li key={name}>
              <Mark of={status === "ok" ? "connected" : "slow"} label={status} />
              <span class="name">{name}</span>
              <span class="quiet small">{reason ?? ""}</span>
              <span class="quiet small">{status}</span>
            </li>
          ))}
        </ul>
      </Panel>
      <Panel title="No source is asked" span={5}>
        <p>{absent ? "This service asks no other system for its figures." : "Sources that are asked (an analytics engine, Prometheus, a page of metrics) are named in the configuration of event processing."} Events that are sent to :9100 need no source.</p>
      </Panel>
    </div>
  );
}

function Lately({ rows, now }: { rows: readonly Row[]; now: number }) {
  const changes = rows.flatMap((row) => row.history.map((each) => ({ ...each, name: row.name }))).sort((left, right) => parsed(right.at) - parsed(left.at));
  if (!changes.length) return <p class="panel-said">No source changed its state.</p>;
  return (
    <ul class="advice">
      {changes.slice(0, 6).map((each) => (
        <li key={`${each.name} ${each.at}`}>
          <p>
            <span>
              <Mark of={MARKS[each.state]} label="" /> <span class="name">{each.name}</span> {WORDS[each.state]}
            </span>
            <span class="small quiet">{each.reason}</span>
          </p>
          <span class="quiet num">{now - parsed(each.at) < 86400 ? second(parsed(each.at)) : since(parsed(each.at), now)}</span>
        </li>
      ))}
    </ul>
  );
}

function Fact() {
  const { data } = useResource<{ sources: Record<string, SourceState> }>("/sources/status", 2);
  const states = Object.values(data?.sources ?? {}).map((each) => each.state);
  if (!states.length) return null;
  const count = (state: string) => states.filter((each) => each === state).length;
  return <>{[`${count("ok")} connected`, count("failing") && `${count("failing")} failing`, count("away") && `${count("away")} away`].filter(Boolean).join(", ")}</>;
}

export const sources: View = { id: "sources", title: "Sources", group: "Plumbing", icon: "plug", key: "c", body: Sources, fact: Fact };
