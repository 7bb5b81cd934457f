// Where reads are answered, what is known by whom and when, and what was asked in vain.

import { useState } from "preact/hooks";
import { Heatmap, type HeatRow } from "../charts/Heatmap";
import { NOTHING } from "../charts/cascade";
import { TierFlow } from "../charts/TierFlow";
import { useApp, useResource } from "../frame/context";
import type { View } from "../frame/view";
import { exact, money, percent, shortText, significant } from "../format/number";
import { tierName } from "../format/sentence";
import { duration, minute } from "../format/time";
import { NotServed } from "../panels/NotServed";
import { Panel } from "../panels/Panel";
import { type Column, Table } from "../panels/Table";
import { readTiers, type Tier, type TierAnswer } from "./tiers";

const TIERS = "/api/v2/memory/tier-stats?window_hours=24";

interface Item {
  item: string;
  count: number;
  last_24h: number;
  agents: Record<string, number>;
  tiers: Record<string, number>;
  /** Reads in each of the last 24 hours; the last has begun. */
  last_hours: number[];
}

interface Gap {
  query: string;
  count: number;
  agents: Record<string, number>;
  last_hours: number[];
}

function Memory() {
  const tiers = useResource<TierAnswer>(TIERS, 5);
  if (tiers.state === "absent") return <NotServed what="Memory is not followed here" needs="The event processing of this platform does not serve /api/v2/memory." />;
  const read = readTiers(tiers.data);
  if (tiers.data && !read.reads)
    return <NotServed what="No reads of memory yet" needs="They come as memory.tier.access, one for each tier that was asked. Send one:" command="hxp publish memory.tier.access tier=redis hit=true latency_ms=4 agent=planner" />;
  return (
    <>
      <div class="row">
        <Flow answer={tiers.data} />
        <Panel title="Tiers" sub="last 24 hours" span={4} table={() => ({ columns: ["tier", "hit rate", "p50 ms", "p95 ms", "usd"], rows: read.tiers.map((tier) => [tier.name, tier.rate, tier.latency, tier.p95, tier.cost]) })}>
          <Table label="Tiers" columns={COLUMNS} rows={read.tiers} id={(row) => row.name} />
          <p class="quiet small" style={{ marginTop: "6px" }}>
            Hit rate counts the reads that reach the tier.
          </p>
        </Panel>
      </div>
      <div class="row">
        <Knowledge />
        <Gaps />
      </div>
    </>
  );
}

const COLUMNS: readonly Column<Tier>[] = [
  { name: "Tier", cell: (row) => row.name },
  { name: "hit rate", number: true, cell: (row) => (row.rate === null ? "–" : `${exact(row.rate * 100, 1)}%`), class: () => "strong" },
  { name: "p50", number: true, wide: true, cell: (row) => significant(row.latency) },
  { name: "p95, ms", number: true, cell: (row) => significant(row.p95) },
  { name: "$", number: true, wide: true, cell: (row) => (row.cost === null ? "unknown" : money(row.cost)) },
];

function Flow({ answer }: { answer: TierAnswer | null }) {
  const { tiers, nothing, reads } = readTiers(answer);
  const flow = (answer?.flow ?? []).map((each) => ({ from: named(each.from), to: named(each.to), count: each.count }));
  const steps = flow.filter((each) => each.to !== "answered").map((each) => ({ from: each.from === "reads" ? null : each.from, to: each.to === NOTHING ? null : each.to, count: each.count }));
  return (
    <Panel title="Where reads are answered" sub="last 24 hours" span={8} right={nothing !== null && nothing > 0.1 ? <span class="warn">{percent(nothing)}% find nothing</span> : undefined} table={() => ({ columns: ["from", "to", "reads"], rows: flow.map((each) => [each.from, each.to, each.count]) })}>
      <TierFlow label="Where reads are answered" reads={reads} steps={steps} tiers={tiers.map((tier) => ({ name: tier.name, answered: tier.hits, note: tier.latency === null ? "" : duration(tier.latency / 1000) }))} />
    </Panel>
  );
}

function named(name: string): string {
  return name === "query" ? "reads" : name === "nothing" || name === "unanswered" ? NOTHING : tierName(name);
}

const ROWS = 14;
/** Questions without an answer that stand below the items. */
const ASKED = 4;

function Knowledge() {
  const app = useApp();
  const { data, state } = useResource<{ items: Item[] }>("/api/v2/knowledge", 10);
  const gaps = useResource<{ gaps: Gap[] }>("/api/v2/knowledge/gaps", 10).data?.gaps ?? [];
  const [by, setBy] = useState<"time" | "agent">("time");
  const items = (data?.items ?? []).slice(0, ROWS);
  const asked = gaps.slice(0, ASKED);
  const agents = [...new Set([...items, ...asked].flatMap((each) => Object.keys(each.agents)))].sort();
  const columns = by === "time" ? hours(app.moment.now()) : agents;
  const cells = (each: Item | Gap): number[] => (by === "time" ? (each.last_hours ?? []) : agents.map((agent) => each.agents[agent] ?? 0));
  const rows: HeatRow[] = [
    ...items.map((item) => ({ name: item.item, right: shortText(by === "time" ? item.last_24h : item.count), far: tierOf(item.tiers), values: cells(item) })),
    ...asked.map((gap) => ({ name: `“${gap.query}”`, right: shortText(gap.count), far: "no answer", values: cells(gap).map(() => null), gaps: cells(gap) })),
  ];
  return (
    <Panel title="Knowledge" sub={by === "time" ? "reads per item and hour, last 24 h" : "reads per item and agent"} span={8}
      right={<span role="group" aria-label="Columns"><button type="button" class="chip" aria-pressed={by === "time"} onClick={() => setBy("time")}>by time</button><button type="button" class="chip" aria-pressed={by === "agent"} onClick={() => setBy("agent")}>by agent</button></span>}
      table={() => ({ columns: ["item", ...columns], rows: rows.map((row) => [row.name, ...(row.gaps ?? row.values)]) })}>
      {rows.length ? <Heatmap label="Knowledge" rows={rows} columns={columns} heads={["reads", "tier"]} gapWord="asked, no answer" /> : <p class="panel-said">{state === "loading" ? "–" : "No item was read yet. Reads come as knowledge.access."}</p>}
    </Panel>
  );
}

/** Where most of its reads were answered. */
function tierOf(tiers: Record<string, number>): string {
  const [most] = Object.entries(tiers).sort((left, right) => right[1] - left[1]);
  return most ? tierName(most[0]) : "";
}

/** Beginnings of the last 24 hours, in the viewer's clock; the last has begun. */
function hours(now: number): string[] {
  const last = Math.floor(now / 3600);
  return Array.from({ length: 24 }, (_, index) => minute((last - 23 + index) * 3600));
}

function Gaps() {
  const { data, state } = useResource<{ gaps: Gap[]; miss_ratio: number | null }>("/api/v2/knowledge/gaps", 10);
  const gaps = data?.gaps ?? [];
  return (
    <Panel title="Asked, not known" sub={data?.miss_ratio == null ? "" : `${percent(data.miss_ratio)}% of questions`} span={4} right="reads" table={() => ({ columns: ["question", "times", "agents"], rows: gaps.map((gap) => [gap.query, gap.count, Object.keys(gap.agents).join(" ")]) })}>
      {gaps.length ? (
        <ul class="advice">
          {gaps.slice(0, 8).map((gap) => (
            <li key={gap.query}>
              <p>
                <span class="name">{gap.query}</span>
                <span class="small quiet">{Object.keys(gap.agents).slice(0, 3).join(", ")}</span>
              </p>
              <b class="num">{exact(gap.count)}</b>
            </li>
          ))}
        </ul>
      ) : (
        <p class="panel-said">{state === "loading" ? "–" : "Every question found an answer."}</p>
      )}
    </Panel>
  );
}

function Fact() {
  const { data } = useResource<TierAnswer>(TIERS, 5);
  const { reads } = readTiers(data);
  return reads ? <>{exact(reads)} reads in the last 24 hours</> : null;
}

export const memory: View = { id: "memory", title: "Memory", group: "Platform", icon: "layers", key: "m", body: Memory, fact: Fact };
