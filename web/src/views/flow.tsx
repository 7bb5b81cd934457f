// What goes through the house: kinds of events into the log, channels out of it, and where it is slow.

import { Sankey, type FlowLink } from "../charts/Sankey";
import { LineChart } from "../charts/LineChart";
import { useApp, usePaint, useResource } from "../frame/context";
import type { View } from "../frame/view";
import { exact, significant } from "../format/number";
import { duration } from "../format/time";
import { Command } from "../panels/Command";
import { Panel } from "../panels/Panel";
import { write } from "../panels/Stat";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";
import { useAsNow } from "./past";
import { useRef } from "preact/hooks";

interface Counts {
  answers: { rows?: [string, number][] }[];
}

interface StreamsStatus {
  behind_head: number;
  messages_per_second: number;
  connections: Record<string, number>;
  channels: Record<string, { subscribers: number; behind: number; lag: number; messages_per_second: number }>;
}

interface Health {
  parts: Record<string, { status: string; reason?: string; [fact: string]: unknown }>;
}

function Flow() {
  const app = useApp();
  const counts = useResource<Counts>("/dashboards/query?table=count:*[5m]", 5);
  const streams = useResource<StreamsStatus>("/streams/status", 2);
  const asNow = useAsNow();
  const links = flows(counts.data?.answers[0]?.rows ?? [], streams.data);
  const nodes = [...new Set(links.flatMap((link) => [link.source, link.target]))].map((name) => ({ name, note: noteOf(name, links) }));
  return (
    <>
      <div class="row">
        <Panel title="Through the log" sub={asNow("events a second, last 5 minutes")} span={12} table={() => ({ columns: ["from", "to", "a second"], rows: links.map((link) => [link.source, link.target, link.value]) })}>
          {links.length ? <Sankey label="Through the log" nodes={nodes} links={links} height={tall(links)} /> : <><p class="panel-said">No events in the last 5 minutes. Send one, and see its way:</p><Command text="hxp publish tool.call.completed tool=search duration_ms=120 agent=planner" /></>}
        </Panel>
      </div>
      <div class="row">
        <Panel title="From log to screen" sub={asNow("on the way of an event")} span={4}>
          <Times streams={streams.data} />
        </Panel>
        <Panel title="Events" sub="per second" span={5} table={seriesTable(app, ["throughput"])}>
          <LineChart title="Events per second" series={[{ metric: "throughput", name: "events", main: true }]} unit="/s" low />
        </Panel>
        <Parts />
      </div>
    </>
  );
}

/** As high as its words need: few flows are not drawn as walls. */
function tall(links: readonly FlowLink[]): number {
  const into = links.filter((link) => link.target === "log").length;
  return Math.min(340, 64 + 28 * Math.max(into, links.length - into));
}

function noteOf(name: string, links: readonly FlowLink[]): string {
  const into = links.filter((link) => link.target === name).reduce((sum, link) => sum + link.value, 0);
  const out = links.filter((link) => link.source === name).reduce((sum, link) => sum + link.value, 0);
  return `${significant(Math.round((into || out) * 100) / 100)}/s`;
}

/** Families of event types into the log; out of it the channels that somebody listens to, as wide as what they carry. */
function flows(rows: readonly (readonly [string, number])[], streams: StreamsStatus | null): FlowLink[] {
  const families = new Map<string, number>();
  for (const [type, count] of rows) {
    const family = type.split(".")[0] ?? type;
    families.set(family, (families.get(family) ?? 0) + count / 300);
  }
  const into: FlowLink[] = [...families].filter(([, rate]) => rate >= 0.005).sort((left, right) => right[1] - left[1]).slice(0, 10).map(([family, rate]) => ({ source: `${family}.*`, target: "log", value: rate, kind: "on" }));
  const out: FlowLink[] = Object.entries(streams?.channels ?? {}).filter(([, channel]) => channel.subscribers && channel.messages_per_second).map(([name, channel]) => ({ source: "log", target: name, value: channel.messages_per_second, kind: channel.behind ? "nothing" : "answered", strength: 0.7 }));
  return [...into, ...out];
}

interface Step {
  name: string;
  value: string;
  slow: boolean;
}

const STEPS: readonly Column<Step>[] = [
  { name: "Step", cell: (row) => row.name },
  { name: "now", number: true, cell: (row) => row.value, class: (row) => (row.slow ? "warn" : "strong") },
];

function Times({ streams }: { streams: StreamsStatus | null }) {
  const app = useApp();
  const screen = useRef<HTMLElement>(null);
  usePaint(() => {
    const [middle, high] = [app.latency.quantile(0.5), app.latency.quantile(0.99)];
    write(screen.current, Number.isNaN(middle) ? "–" : `${duration(middle)}, p99 ${duration(high)}`);
  });
  const slowest = Object.entries(streams?.channels ?? {}).reduce<[string, number]>((most, [name, channel]) => (channel.lag > most[1] ? [name, channel.lag] : most), ["", 0]);
  const behind = Object.values(streams?.channels ?? {}).reduce((sum, channel) => sum + channel.behind, 0);
  const rows: Step[] = [
    { name: "gateway behind the log", value: `${exact(streams?.behind_head)} events`, slow: (streams?.behind_head ?? 0) > 1000 },
    { name: "connections behind", value: exact(behind), slow: behind > 0 },
    { name: slowest[0] ? `slowest channel, ${slowest[0]}` : "slowest channel", value: slowest[0] ? `${exact(slowest[1])} events` : "–", slow: slowest[1] > 1000 },
    { name: "delivered", value: `${exact(streams?.messages_per_second)}/s`, slow: false },
  ];
  return (
    <>
      <Table label="From log to screen" columns={STEPS} rows={rows} id={(row) => row.name} />
      <p style={{ marginTop: "6px" }}>
        Event to this screen: <b class="num" ref={screen}>–</b>
      </p>
    </>
  );
}

function Parts() {
  const { data } = useResource<Health>("/health", 5);
  const rows = Object.entries(data?.parts ?? {}).map(([name, part]) => ({ name, value: part.status === "ok" ? "ok" : (part.reason ?? part.status), slow: part.status !== "ok" }));
  return (
    <Panel title="Parts" sub={useAsNow()("")} span={3}>
      <Table label="Parts" columns={[{ name: "Part", cell: (row: Step) => row.name }, { name: "state", number: true, cell: (row: Step) => row.value, class: (row: Step) => (row.slow ? "warn" : "") }]} rows={rows} id={(row) => row.name} nothing="–" />
    </Panel>
  );
}

export const flow: View = { id: "flow", title: "Data flow", group: "Plumbing", icon: "flow", key: "f", body: Flow };
