// Who works with whom, who is active, how loaded; and one agent in detail.

import { Network } from "../../charts/Network";
import { useApp, usePulse, useResource } from "../../frame/context";
import { route, type View, writeAddress } from "../../frame/view";
import { exact } from "../../format/number";
import { fields } from "../../format/sentence";
import { parsed, since } from "../../format/time";
import { BarCell } from "../../panels/BarCell";
import { Feed } from "../../panels/Feed";
import { LoadCell } from "../../panels/LoadCell";
import { Mark } from "../../panels/Mark";
import { NotServed } from "../../panels/NotServed";
import { Panel } from "../../panels/Panel";
import { type Column, Table } from "../../panels/Table";
import { latencyColumns, shareText } from "../columns";
import { usePastRange } from "../past";
import { Past } from "./Past";

interface Agent {
  id: string;
  status: string;
  last_activity: string;
  current_load: number;
  capacity: number | null;
  capabilities: string[];
  capabilities_from?: "registered" | "observed" | null;
  tasks: { started: number; completed: number; failed: number };
  task_p95_ms: number | null;
  events: number;
}

interface Edge {
  from: string;
  to: string;
  count: number;
  success: number;
  failure: number;
  success_ratio: number | null;
}

interface Collaboration {
  nodes: string[];
  edges: Edge[];
}

/** A few agents need less room to stand in; until they are known it is that of many. */
const tall = (count: number): number => (count && count < 3 ? 240 : count && count < 6 ? 420 : 620);

const LEAST_OUTCOMES = 5;
const POOR = 0.6;

function Agents() {
  const active = useResource<{ agents: Agent[]; active_within_s: number }>("/api/v2/agents/active", 3);
  const { data } = useResource<Collaboration>("/api/v2/collaboration", 5);
  if (active.state === "absent") return <NotServed what="Agents are not followed here" needs="The event processing of this platform does not serve /api/v2/agents." />;
  const agents = [...(active.data?.agents ?? [])].sort((left, right) => left.id.localeCompare(right.id));
  if (active.data && !agents.length && !data?.nodes.length)
    return <NotServed what="No agent is active" needs="An agent appears with its first event. Send one:" command="hxp publish agent.started agent=planner task=answer" shows="who works with whom, what each agent has open of what it can take, how long its tasks take and how many fail." />;
  const selected = route.value.query.get("agent") ?? busiest(agents, data);
  const pick = (name: string) => writeAddress({ agent: name });
  const chosen = agents.find((agent) => agent.id === selected);
  const past = usePastRange();
  const shown = data ? (past ? nodes([], data) : nodes(agents, data)) : [];
  const scope = past ? "all hand-offs until now, not kept by time" : "all hand-offs";
  return (
    <div class="row">
      <Panel title="Who works with whom" sub={scope} span={6} table={() => ({ columns: ["from", "to", "hand-offs", "ended well"], rows: (data?.edges ?? []).map((edge) => [edge.from, edge.to, edge.count, edge.success_ratio]) })}>
        {data ? <Network label="Who works with whom" nodes={shown} links={links(data)} selected={selected} pick={pick} height={tall(shown.length)} /> : <div style={{ height: `${tall(0)}px` }} />}
        <p class="quiet small">{past ? "Open tasks are not kept by time. Line: hand-offs." : "Number and ring: open tasks and share of capacity. Line: hand-offs."} Places stay when values change.</p>
      </Panel>
      <div style={{ gridColumn: "span 6" }}>
        {past ? (
          <Past selected={selected} pick={pick} />
        ) : (
          <Panel title="Active agents" sub={active.data ? `in the last ${exact(active.data.active_within_s / 60)} min` : ""} table={() => ({ columns: ["agent", "load", "capacity", "p95 ms", "failed", "capabilities"], rows: agents.map((agent) => [agent.id, agent.current_load, agent.capacity, agent.task_p95_ms, agent.tasks.failed, agent.capabilities.join(" ")]) })}>
          <Table label="Active agents" columns={columnsOf(agents)} rows={agents} id={(row) => row.id} selected={selected} pick={(row) => pick(row.id)} nothing="No agent was active in the last minutes." />
        </Panel>
        )}
        {selected ? <One name={selected} agent={chosen} edges={data?.edges ?? []} /> : null}
      </div>
    </div>
  );
}

function busiest(agents: readonly Agent[], data: Collaboration | null): string | null {
  const weight = new Map<string, number>();
  for (const edge of data?.edges ?? []) weight.set(edge.from, (weight.get(edge.from) ?? 0) + edge.count);
  return [...weight].sort((left, right) => right[1] - left[1])[0]?.[0] ?? agents[0]?.id ?? null;
}

const full = (agent: Agent): boolean => agent.capacity !== null && agent.current_load >= agent.capacity;

const columnsOf = (agents: readonly Agent[]): readonly Column<Agent>[] => [
  { name: "Agent", long: (row) => row.id, cell: (row) => <><Mark of={full(row) ? "warning" : "info-dot"} label={full(row) ? "at its capacity" : row.status} /> {row.id}</> },
  loadColumn(agents),
  { name: "events", number: true, wide: true, from: 440, cell: (row) => exact(row.events) },
  ...latencyColumns<Agent>([["task p95", (row) => row.task_p95_ms, true]], agents),
  { name: "failed", number: true, cell: (row) => exact(row.tasks.failed), class: (row) => (row.tasks.failed ? "warn" : "") },
  { name: "capabilities", wide: true, from: 520, class: () => "rest", cell: (row) => <span class="quiet" title={`${row.capabilities_from === "observed" ? "as observed: " : ""}${row.capabilities.join(", ")}`}>{row.capabilities.map((each) => each.replaceAll("_", " ")).join(", ") || "–"}</span> },
];

/** Where nobody has said how much it can take, there is no bar to keep room for. */
function loadColumn(agents: readonly Agent[]): Column<Agent> {
  if (agents.every((agent) => agent.capacity === null)) return { name: "load", number: true, cell: (row) => exact(row.current_load), class: () => "strong" };
  return { name: "load", cell: (row) => <LoadCell load={row.current_load} capacity={row.capacity} /> };
}

function nodes(agents: readonly Agent[], data: Collaboration | null) {
  const known = new Map(agents.map((agent) => [agent.id, agent]));
  const names = [...new Set([...(data?.nodes ?? []), ...known.keys()])].slice(0, 60);
  return names.map((name) => {
    const agent = known.get(name);
    return { name, load: agents.length ? (agent?.current_load ?? 0) : null, capacity: agent?.capacity ?? null, state: agent && full(agent) ? ("warn" as const) : ("" as const) };
  });
}

function links(data: Collaboration | null) {
  return (data?.edges ?? []).slice(0, 200).map((edge) => ({ source: edge.from, target: edge.to, value: edge.count }));
}

interface Partner {
  name: string;
  count: number;
  ended: number;
  well: number;
}

/** Whom an agent hands over to or takes over from, both ways together; the closest first. */
function partners(name: string, edges: readonly Edge[]): Partner[] {
  const known = new Map<string, Partner>();
  for (const edge of edges) {
    const other = edge.from === name ? edge.to : edge.to === name ? edge.from : null;
    if (other === null || other === name) continue;
    const partner = known.get(other) ?? { name: other, count: 0, ended: 0, well: 0 };
    known.set(other, { name: other, count: partner.count + edge.count, ended: partner.ended + edge.success + edge.failure, well: partner.well + edge.success });
  }
  return [...known.values()].sort((left, right) => right.count - left.count || left.name.localeCompare(right.name));
}

function One({ name, agent, edges }: { name: string; agent: Agent | undefined; edges: readonly Edge[] }) {
  const app = useApp();
  const past = usePastRange() !== null;
  const own = partners(name, edges).slice(0, 6);
  // It grows older while nothing comes, too.
  usePulse(() => Math.floor(app.moment.now() / 5));
  const columns: readonly Column<Partner>[] = [
    { name: "Works with", long: true, cell: (each) => each.name },
    { name: "share", wide: true, cell: (each) => <BarCell share={each.count / (own[0]?.count ?? 1)} /> },
    { name: "hand-offs", number: true, cell: (each) => exact(each.count) },
    { name: "ended well", number: true, cell: (each) => shareText(each.ended ? each.well / each.ended : null), class: (each) => (each.ended >= LEAST_OUTCOMES && each.well / each.ended < POOR ? "warn" : "") },
  ];
  return (
    <Panel title={name} sub={past ? "all hand-offs until now" : agent ? `last event ${since(parsed(agent.last_activity), app.moment.now())} ago` : "not active now"} right={<a href={`/view/streams?channel=events&filter=${encodeURIComponent(`subject == "${name.replaceAll('"', "")}"`)}`}>Its events</a>}>
      <Table label={`Whom ${name} works with`} columns={columns} rows={own} id={(each) => each.name} nothing="No hand-offs yet." />
      <div style={{ marginTop: "12px" }}>
        <Feed channel="operational_events" lines={6} key={name} ofOne="agent" filter={(event) => event.subject === name || fields(event.data)["agent"] === name} label={`Events of ${name}`} />
      </div>
    </Panel>
  );
}

function Fact() {
  const { data } = useResource<{ active_count: number; active_within_s: number }>("/api/v2/agents/active", 3);
  const past = usePastRange();
  return data && !past ? <>{exact(data.active_count)} active in the last {exact(data.active_within_s / 60)} min</> : null;
}

export const agents: View = { id: "agents", title: "Agents", group: "Platform", icon: "graph", key: "n", body: Agents, fact: Fact };
