// Where reads are answered, what is known by whom and when, and what was asked in vain.

import { useState } from "preact/hooks";
import { Heatmap, type HeatRow } from "../charts/Heatmap";
import { Sankey, type FlowLink } from "../charts/Sankey";
import { useResource } from "../frame/context";
import type { View } from "../frame/view";
import { exact, money, percent, shortText, significant } from "../format/number";
import { tierName } from "../format/sentence";
import { duration } from "../format/time";
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
  by_hour_of_day: number[];
}

interface Gap {
  query: string;
  count: number;
  agents: Record<string, number>;
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
  const flow = (answer?.flow ?? []).map((each) => ({ ...each, from: named(each.from), to: named(each.to) }));
  const { tiers, nothing } = readTiers(answer);
  const fastest = Object.fromEntries(tiers.map((tier, index) => [tier.name, 1 - index * 0.25]));
  const links = flow.flatMap<FlowLink>(({ from, to, count }) => {
    if (to === "answered") return [{ source: from, target: `by ${from}`, value: count, kind: "answered" as const, strength: fastest[from] ?? 0.5 }];
    return [{ source: from, target: to, value: count, kind: to === "nothing found" ? ("nothing" as const) : ("on" as const) }];
  });
  const notes = Object.fromEntries(tiers.map((tier) => [tier.name, tier.latency === null ? "" : duration(tier.latency / 1000)]));
  const ends = Object.fromEntries(tiers.map((tier) => [`by ${tier.name}`, `${percent(tier.share)}% of reads, ${exact(tier.hits)}`]));
  const names = ["reads", ...tiers.map((tier) => tier.name), ...tiers.map((tier) => `by ${tier.name}`), "nothing found"].filter((name) => links.some((link) => link.source === name || link.target === name));
  const nodes = names.map((name) => ({ name, ...(notes[name] !== undefined ? { note: notes[name] } : {}), ...(ends[name] !== undefined ? { note: ends[name] } : {}) }));
  return (
    <Panel title="Where reads are answered" sub="last 24 hours" span={8} right={nothing === null ? undefined : <span class={nothing > 0.1 ? "warn" : ""}>{percent(nothing)}% find nothing</span>} table={() => ({ columns: ["from", "to", "reads"], rows: flow.map((each) => [each.from, each.to, each.count]) })}>
      <Sankey label="Where reads are answered" nodes={nodes} links={links} height={310} />
    </Panel>
  );
}

function named(name: string): string {
  return name === "query" ? "reads" : name === "nothing" || name === "unanswered" ? "nothing found" : tierName(name);
}

const ROWS = 16;

function Knowledge() {
  const { data, state } = useResource<{ items: Item[] }>("/api/v2/knowledge", 10);
  const [by, setBy] = useState<"time" | "agent">("time");
  const items = (data?.items ?? []).slice(0, ROWS);
  const agents = [...new Set(items.flatMap((item) => Object.keys(item.agents)))].sort();
  const columns = by === "time" ? hours() : agents;
  const rows: HeatRow[] = items.map((item) => ({ name: item.item, right: shortText(item.last_24h), values: by === "time" ? local(item.by_hour_of_day) : agents.map((agent) => item.agents[agent] ?? 0) }));
  return (
    <Panel title="Knowledge" sub={by === "time" ? "reads per item and hour of the day" : "reads per item and agent"} span={8}
      right={<span role="group" aria-label="Columns"><button type="button" class="chip" aria-pressed={by === "time"} onClick={() => setBy("time")}>by time</button><button type="button" class="chip" aria-pressed={by === "agent"} onClick={() => setBy("agent")}>by agent</button></span>}
      table={() => ({ columns: ["item", ...columns], rows: rows.map((row) => [row.name, ...row.values]) })}>
      {rows.length ? <Heatmap label="Knowledge" rows={rows} columns={columns} /> : <p class="panel-said">{state === "loading" ? "–" : "No item was read yet. Reads come as knowledge.access."}</p>}
    </Panel>
  );
}

/** Hours of the day in UTC, turned to those of the viewer. */
function local(byHour: readonly number[]): number[] {
  const shift = Math.round(-new Date().getTimezoneOffset() / 60);
  return byHour.map((_, hour) => byHour[(hour - shift + 48) % 24] ?? 0);
}

function hours(): string[] {
  return Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, "0")}:00`);
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
