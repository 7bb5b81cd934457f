// Where events come from: each source with its state, its history, what is wrong and what to do.

import { StateHistory } from "../charts/StateHistory";
import { LineChart } from "../charts/LineChart";
import { useApp, usePulse, useResource } from "../frame/context";
import { route, type View, writeAddress } from "../frame/view";
import { exact } from "../format/number";
import { rangeName } from "../data/moment";
import { age, parsed, second, since } from "../format/time";
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
  const asked = route.value.query.get("source");
  const chosen = rows.find((row) => row.name === asked) ?? rows.find((row) => row.state === "away");
  const now = app.moment.now();
  return (
    <>
      {rows.length ? (
        <div class="row">
          <Panel title="Where events come from" sub={`state over the last ${rangeName(app.moment.span.value)}`} table={() => ({ columns: ["source", "state", "since", "last answer", "failures"], rows: rows.map((row) => [row.name, row.state, row.since, row.last_answer, row.failures]) })}
            right={<Legend />}>
            <Table label="Sources" columns={columns(now, app.moment.span.value)} rows={rows} id={(row) => row.name} airy selected={chosen?.name ?? null} pick={(row) => writeAddress({ source: row.name === asked ? "" : row.name })}
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
        <Panel title="Lately" span={4}>
          <Lately rows={rows} now={now} />
        </Panel>
      </div>
    </>
  );
}

function columns(now: number, span: number): Column<Row>[] {
  return [
    { name: "Source", cell: (row) => row.name, class: () => "strong" },
    { name: "kind", wide: true, cell: (row) => kindOf(row.name), class: () => "far" },
    { name: "state", cell: (row) => <><Mark of={MARKS[row.state]} label="" /> {row.state === "away" ? fault(row.reason).short : WORDS[row.state]}</>, class: (row) => (row.state === "away" ? "crit" : row.state === "failing" ? "warn" : "") },
    { name: "history", wide: true, cell: (row) => <StateHistory changes={row.history.map((each) => ({ at: parsed(each.at), state: each.state }))} now={now} span={span} /> },
    { name: "values", number: true, wide: true, cell: (row) => exact(row.items) },
    { name: "last answer", number: true, cell: (row) => (row.last_answer ? since(parsed(row.last_answer), now) : "never"), class: (row) => (row.stale || !row.last_answer ? "warn" : "") },
    { name: "failures", number: true, wide: true, cell: (row) => exact(row.failures) },
  ];
}

const KINDS: Record<string, string> = { prometheus: "PromQL", scrape: "page of metrics", gateway: "health check" };

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

/** One source in detail: what is wrong in words that lead somewhere, how it is tried again, and a try at once. */
function Chosen({ row, now, ask }: { row: Row; now: number; ask: () => void }) {
  const app = useApp();
  const next = parsed(row.next_try) - now;
  const well = row.state === "ok";
  const { said, does } = fault(row.reason);
  const retry = async () => {
    refused.value = "";
    await app.api.post(`/sources/${encodeURIComponent(row.name)}/retry`, {}).catch((error: Error) => (refused.value = error.message));
    ask();
  };
  return (
    <div class="source-open" role="region" aria-label={row.name}>
      <div>
        <p class="wrap">
          <b>{well ? `${row.name} answers.` : row.state === "starting" ? `${row.name} has not answered yet.` : said}</b> {well ? row.reason : does}
          {row.stale ? ` The last values are from ${second(parsed(row.last_answer))}; they are marked as old.` : ""}
        </p>
        <p class="small quiet wrap">
          {WORDS[row.state]} {ago(parsed(row.since), now)}
          {row.failures ? `, ${exact(row.failures)} failures in all` : ""}.{well ? "" : ` ${row.reason}`}
        </p>
        {refused.value ? <p class="fault-box" role="alert">{refused.value}</p> : null}
      </div>
      <dl class="rule small">
        <dt>Waits between tries</dt>
        <dd>0.25 s, doubling to 3 s</dd>
        <dt>Gives up</dt>
        <dd>never</dd>
        <dt>Next try</dt>
        <dd>{next > 0 ? `in ${exact(Math.ceil(next))} s` : "now"}</dd>
      </dl>
      <button type="button" class="button main" disabled={app.link.state.value !== "open"} onClick={() => void retry()}>
        Try now
      </button>
    </div>
  );
}

function ago(at: number, now: number): string {
  return now - at < 3600 ? `for ${age(now - at)}` : `since ${since(at, now)}`;
}

const FAULTS: readonly (readonly [sign: RegExp, short: string, said: (host: string) => string, does: string])[] = [
  [/refused/i, "refused", (host) => `${host} refuses the connection.`, "Nothing listens there, or a firewall answers for it. Start it, or correct its endpoint under sources of event processing."],
  [/timed out|timeout|too long/i, "too slow", (host) => `${host} does not answer in time.`, "It is overloaded, or packets are lost on the way. Look at that host, or give it a longer timeout."],
  [/name or service|getaddrinfo|resolve/i, "no address", (host) => `The name ${host} has no address.`, "Correct the endpoint, or the name server of this host."],
  [/unreachable|no route/i, "no way", (host) => `There is no way to ${host}.`, "Look at the network between this host and that one."],
  [/\b40[13]\b|denied|forbidden/i, "not allowed", (host) => `${host} does not let us in.`, "Give its source the right credentials."],
  [/\b404\b/, "not found", (host) => `${host} has nothing at this path.`, "Correct the path of its endpoint."],
  [/certificate|ssl|tls/i, "no trust", (host) => `The certificate of ${host} is not trusted.`, "Renew it, or give this host the authority that signed it."],
];

/** What a reason means, and what to do about it. The reason itself is shown beside it. */
function fault(reason: string): { short: string; said: string; does: string } {
  const host = /https?:\/\/([^/\s]+)/.exec(reason)?.[1] ?? "It";
  const found = FAULTS.find(([sign]) => sign.test(reason));
  return found ? { short: found[1], said: found[2](host), does: found[3] } : { short: "away", said: `${host} does not answer as it should.`, does: "" };
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
          <span class="quiet num nowrap">{now - parsed(each.at) < 86400 ? second(parsed(each.at)) : since(parsed(each.at), now)}</span>
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
