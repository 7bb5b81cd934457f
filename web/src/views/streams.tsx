// Channels, who listens, how far behind they are, and any channel's events as they come, through a filter.

import { useEffect, useRef, useState } from "preact/hooks";
import { LagField } from "../charts/LagField";
import { useApp, usePaint, useResource } from "../frame/context";
import { route, type View, writeAddress } from "../frame/view";
import { Tail, type TailState } from "../data/tail";
import { exact } from "../format/number";
import { Feed, FeedRate } from "../panels/Feed";
import { Panel } from "../panels/Panel";
import { type Column, Table } from "../panels/Table";
import { useAsNow, usePastRange } from "./past";

interface ChannelStatus {
  subscribers: number;
  behind: number;
  lag: number;
  messages: number;
  messages_per_second: number;
  ring_events: number;
}

interface StreamsStatus {
  offset: number;
  behind_head: number;
  connections: Record<string, number>;
  max_connections: Record<string, number>;
  messages_per_second: number;
  channels: Record<string, ChannelStatus>;
}

type Row = ChannelStatus & { name: string; kind: string };

interface Listing {
  streams: string[];
  sse: string[];
  high_frequency: string[];
  channels: Record<string, { types: string[]; description: string }>;
}

const COLUMNS: readonly Column<Row>[] = [
  { name: "Channel", cell: (row) => row.name },
  { name: "kind", wide: true, from: 600, cell: (row) => row.kind },
  { name: "clients", number: true, cell: (row) => exact(row.subscribers), class: (row) => (row.subscribers ? "strong" : "far") },
  { name: "in/s", number: true, cell: (row) => exact(row.messages_per_second, 1), class: (row) => (row.messages_per_second ? "" : "far") },
  { name: "out/s", number: true, wide: true, cell: (row) => exact(row.messages_per_second * row.subscribers, 1), class: (row) => (row.messages_per_second * row.subscribers ? "strong" : "far") },
  { name: "behind", number: true, wide: true, cell: (row) => exact(row.behind), class: (row) => (row.behind ? "warn" : "far") },
  { name: "lag, events", number: true, cell: (row) => exact(row.lag), class: (row) => (row.lag > 1000 ? "warn" : row.lag ? "" : "far") },
];

function Streams() {
  const status = useResource<StreamsStatus>("/streams/status", 2);
  const listing = useResource<Listing>("/streams", 60);
  const channel = route.value.query.get("channel") ?? "operational_data";
  const rows = rowsOf(status.data, listing.data);
  const asNow = useAsNow();
  const pick = (row: Row) => writeAddress({ channel: row.name, offset: null });
  const table = () => ({ columns: ["channel", "clients", "in a second", "behind", "lag"], rows: rows.map((row) => [row.name, row.subscribers, row.messages_per_second, row.behind, row.lag]) });
  return (
    <>
      <div class="row">
        <Panel title="Channels" sub={asNow("choose one to see its events")} span={8} table={table} right={status.data ? `${exact(status.data.messages_per_second)}/s in all` : undefined}>
          <Table label="Channels" columns={COLUMNS} rows={rows} id={(row) => row.name} selected={channel} pick={pick} nothing={status.error || "–"} />
        </Panel>
        <Panel title="How far behind each channel is" sub={`events, log scale${asNow("") && ", as now"}`} span={4} table={() => ({ columns: ["channel", "clients", "behind", "lag in events"], rows: rows.map((row) => [row.name, row.subscribers, row.behind, row.lag]) })}>
          <LagField rows={rows.map((row) => ({ name: row.name, clients: row.subscribers, behind: row.behind, lag: row.lag }))} />
        </Panel>
      </div>
      <div class="row">
        <TailPanel channel={channel} about={listing.data?.channels[channel]?.description ?? ""} key={channel} />
      </div>
    </>
  );
}

function rowsOf(status: StreamsStatus | null, listing: Listing | null): Row[] {
  return Object.entries(status?.channels ?? {}).map(([name, each]) => ({ ...each, name, kind: kindOf(name, listing) }));
}

function kindOf(name: string, listing: Listing | null): string {
  if (!listing) return "";
  const kinds = [listing.streams.includes(name) && "WebSocket", listing.sse.includes(name) && "SSE", listing.high_frequency.includes(name) && "high frequency"];
  return kinds.filter(Boolean).join(", ") || "both";
}

function TailPanel({ channel, about }: { channel: string; about: string }) {
  const app = useApp();
  const query = route.value.query;
  const [filter, setFilter] = useState(query.get("filter") ?? (query.get("offset") ? `offset ${query.get("offset")}` : ""));
  const tail = useRef<Tail | null>(null);
  tail.current ??= new Tail(channel, app.api, app.painter.touch);
  const store = tail.current;
  const [state, setState] = useState<TailState>(store.state);
  const past = usePastRange();
  useEffect(() => {
    const wait = setTimeout(() => {
      store.open(filter, app.head);
      if (!filter.startsWith("offset ")) writeAddress({ filter });
    }, 300);
    return () => clearTimeout(wait);
  }, [filter]);
  useEffect(() => () => store.close(), []);
  usePaint(() => {
    if (store.state !== state) setState(store.state);
  });
  return (
    <Panel title={`Tail of ${channel}`} sub={about} right={<><FeedRate channel={channel} store={store.feed} /><button type="button" class="button bare" onClick={() => void navigator.clipboard?.writeText(curl(channel, filter))}>Copy as curl</button></>}>
      <input class="field mono tail-filter" type="text" value={filter} aria-label="Filter of the tail" aria-invalid={state.fault !== ""} spellcheck={false}
        placeholder='type == "llm.request.failed" && data.latency_ms > 2000' onInput={(event) => setFilter(event.currentTarget.value)} onKeyDown={(event) => event.key === "Escape" && setFilter("")} />
      {state.fault ? <p class="fault-box" role="alert">{state.fault}</p> : null}
      {past && filter ? (
        <p class="panel-said">A filter looks at what comes now. Without one, the events of this time are here.</p>
      ) : (
        <Feed channel={channel} store={store.feed} thenOwn lines={16} offsets label={`Events of ${channel}`} />
      )}
    </Panel>
  );
}

function curl(channel: string, filter: string): string {
  const query = filter ? `?filter=${encodeURIComponent(filter)}` : "";
  return `curl -N '${location.origin}/sse/${channel}${query}'`;
}

function Fact() {
  const { data } = useResource<StreamsStatus>("/streams/status", 2);
  const past = usePastRange();
  if (!data) return null;
  const connections = Object.values(data.connections).reduce((sum, each) => sum + each, 0);
  return (
    <>
      {exact(connections)} connection{connections === 1 ? "" : "s"}, {exact(Object.keys(data.channels).length)} channels{past ? " now" : ""}
    </>
  );
}

export const streams: View = { id: "streams", title: "Streams", group: "Plumbing", icon: "streams", key: "s", body: Streams, fact: Fact };
