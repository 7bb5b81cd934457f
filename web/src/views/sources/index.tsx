// Where events come from: each source with its state, its history, what is wrong and what to do.

import type { App } from "../../data/app";
import { StateHistory } from "../../charts/StateHistory";
import { LineChart } from "../../charts/LineChart";
import { useApp, usePulse, useResource } from "../../frame/context";
import { route, type View, writeAddress } from "../../frame/view";
import { exact } from "../../format/number";
import { rangeName } from "../../data/moment";
import { parsed, second, since } from "../../format/time";
import { target } from "../../panels/commands";
import { Mark } from "../../panels/Mark";
import { Panel } from "../../panels/Panel";
import { Parts } from "../../panels/Parts";
import { seriesTable } from "../../panels/table";
import { Switch } from "../../panels/Switch";
import { type Column, Table } from "../../panels/Table";
import { useAsNow } from "../past";
import { Chosen } from "./Chosen";
import { fault } from "./faults";
import { change, MARKS, type Source, STATUS, type Status, words } from "./model";

function Sources() {
  const app = useApp();
  const { state, data, ask } = useResource<Status>(STATUS, 2);
  usePulse(() => Math.floor(app.moment.now()));
  const rows: Source[] = Object.entries(data?.sources ?? {}).map(([name, each]) => ({ ...each, name }));
  const asked = route.value.query.get("source");
  const chosen = rows.find((row) => row.name === asked) ?? rows.find((row) => row.state === "away");
  const now = app.moment.now();
  const asNow = useAsNow();
  const past = app.moment.mode.value === "past";
  return (
    <>
      {rows.length ? (
        <div class="row">
          <Panel title="Where events come from" sub={past ? "state now, history of the range" : `state over the last ${rangeName(app.moment.span.value)}`} table={() => ({ columns: ["source", "state", "since", "last answer", "failures", "reason"], rows: rows.map((row) => [row.name, words(row), row.since, row.last_answer, row.failures, row.reason]) })}
            right={<Legend />}>
            <Table label="Sources" columns={columns(app, ask)} rows={rows} id={(row) => row.name} airy selected={chosen?.name ?? null} pick={(row) => writeAddress({ source: row.name === asked ? "" : row.name })}
              below={(row) => (row === chosen ? <Chosen row={row} now={now} ask={ask} /> : null)} />
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
        <Panel title="Lately" sub={asNow("")} span={4}>
          <Lately rows={rows} now={now} />
        </Panel>
      </div>
    </>
  );
}

function columns(app: App, ask: () => void): Column<Source>[] {
  const { moment, link } = app;
  const now = moment.now();
  const flip = (row: Source, live: boolean) => void change(app, row.name, { live }).then(ask);
  return [
    { name: "Source", cell: (row) => row.name, class: () => "strong" },
    { name: "kind", wide: true, cell: (row) => kindOf(row.name), class: () => "far" },
    { name: "state", cell: (row) => <><Mark of={MARKS[row.state]} label="" /> {row.state === "away" ? fault(row.reason).short : words(row)}</>, class: (row) => (row.state === "away" ? "crit" : row.state === "failing" ? "warn" : row.state === "off" ? "far" : "") },
    { name: "history", wide: true, cell: (row) => <StateHistory changes={row.history.map((each) => ({ at: parsed(each.at), state: each.state }))} now={moment.end()} span={moment.span.value} /> },
    { name: "values", number: true, wide: true, cell: (row) => exact(row.items) },
    { name: "last answer", number: true, cell: (row) => (row.last_answer ? since(parsed(row.last_answer), now) : "never"), class: (row) => (row.state === "off" ? "far" : row.stale || !row.last_answer ? "warn" : "") },
    { name: "failures", number: true, wide: true, cell: (row) => exact(row.failures) },
    { name: "live", number: true, cell: (row) => <Switch label={`Ask ${row.name}`} on={row.settings.live} disabled={link.state.value !== "open"} change={(live) => flip(row, live)} /> },
  ];
}

const KINDS: Record<string, string> = { prometheus: "PromQL", scrape: "page of metrics", gateway: "health check", nats: "subscription", redis: "streams", activity: "files" };

function kindOf(name: string): string {
  return KINDS[name] ?? (name.startsWith("engine_") ? "analytics engine" : "asked");
}

function Legend() {
  return (
    <span class="legend-states">
      {(["connected", "slow", "away", "off"] as const).map((each) => (
        <span key={each}>
          <Mark of={each} label="" /> {each}
        </span>
      ))}
    </span>
  );
}

/** Without pollers: the ways in that are always there. */
function Intake({ absent }: { absent: boolean }) {
  const place = new URL(target(useApp().boot.events_in, location.hostname)).host;
  return (
    <div class="row">
      <Panel title="Parts" sub={useAsNow()("of this service")} span={7}>
        <Parts />
      </Panel>
      <Panel title="No source is asked" span={5}>
        <p>{absent ? "This service asks no other system for its figures." : "Sources that are asked (an analytics engine, Prometheus, a page of metrics) are named in the configuration of event processing."} Events that are sent to {place} need no source.</p>
      </Panel>
    </div>
  );
}

function Lately({ rows, now }: { rows: readonly Source[]; now: number }) {
  const changes = rows.flatMap((row) => row.history.map((each) => ({ ...each, name: row.name }))).sort((left, right) => parsed(right.at) - parsed(left.at));
  if (!changes.length) return <p class="panel-said">No source changed its state.</p>;
  return (
    <ul class="advice">
      {changes.slice(0, 6).map((each) => (
        <li key={`${each.name} ${each.at}`}>
          <p>
            <span>
              <Mark of={MARKS[each.state]} label="" /> <span class="name">{each.name}</span> {words(each)}
            </span>
            <span class="small quiet">{each.reason}</span>
          </p>
          <span class="quiet num nowrap">{now - parsed(each.at) < 86400 ? second(parsed(each.at)) : since(parsed(each.at), now)}</span>
        </li>
      ))}
    </ul>
  );
}

function Fact() {
  const { data } = useResource<Status>(STATUS, 2);
  const states = Object.values(data?.sources ?? {}).map((each) => each.state);
  if (!states.length) return null;
  const count = (state: string) => states.filter((each) => each === state).length;
  return <>{[`${count("ok")} connected`, count("failing") && `${count("failing")} failing`, count("away") && `${count("away")} away`, count("off") && `${count("off")} switched off`].filter(Boolean).join(", ")}</>;
}

export const sources: View = { id: "sources", title: "Sources", group: "Plumbing", icon: "plug", key: "c", body: Sources, fact: Fact };
