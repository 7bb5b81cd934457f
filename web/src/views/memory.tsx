// Where reads are answered, what is known by whom and when, and what was asked in vain.

import { useState } from "preact/hooks";
import { Heatmap, type HeatRow } from "../charts/Heatmap";
import { NOTHING } from "../charts/cascade";
import { TierFlow } from "../charts/TierFlow";
import { useApp, useResource } from "../frame/context";
import type { View } from "../frame/view";
import { exact, money, percent, shortText } from "../format/number";
import { tierName } from "../format/sentence";
import { duration, minute } from "../format/time";
import { NotServed } from "../panels/NotServed";
import { Panel } from "../panels/Panel";
import { type Column, Table } from "../panels/Table";
import { latencyColumns, shareText } from "./columns";
import { rangeWords, usePastRange } from "./past";
import { TierLatency } from "./TierLatency";
import { readTiers, type Tier, type Tiers, useTiers } from "./tiers";

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
  const tiers = useTiers(5);
  const past = usePastRange();
  if (tiers.state === "absent") return <NotServed what="Memory is not followed here" needs="The event processing of this platform does not serve /api/v2/memory." />;
  const read = readTiers(tiers.answer);
  if (!past && tiers.answer && !read.reads)
    return <NotServed what="No reads of memory yet" needs="They come as memory.tier.access, one for each tier that was asked. Send one:" command="hxp publish memory.tier.access tier=redis hit=true latency_ms=4 agent=planner" shows="which tier answers how much and how fast, what is read when and by whom, and what was asked in vain." />;
  return (
    <>
      <div class="row">
        <Flow tiers={tiers} />
        <div style={{ gridColumn: "span 4" }}>
        <Panel title="Tiers" sub={tiers.time} table={() => ({ columns: ["tier", "hit rate", "p50 ms", "p95 ms", "usd"], rows: read.tiers.map((tier) => [tier.name, tier.rate, tier.latency, tier.p95, tier.cost]) })}>
          <Table label="Tiers" columns={columnsOf(read.tiers)} rows={read.tiers} id={(row) => row.name} nothing={tiers.missing || "–"} />
          <p class="quiet small" style={{ marginTop: "6px" }}>
            Hit rate counts the reads that reach the tier.
          </p>
        </Panel>
        <TierLatency />
        </div>
      </div>
      <div class="row">
        <Knowledge />
        <Gaps />
      </div>
    </>
  );
}

const columnsOf = (tiers: readonly Tier[]): readonly Column<Tier>[] => [
  { name: "Tier", cell: (row) => row.name },
  { name: "hit rate", number: true, cell: (row) => shareText(row.rate), class: () => "strong" },
  ...latencyColumns<Tier>([["p50", (row) => row.latency, true], ["p95", (row) => row.p95]], tiers),
  { name: "$", number: true, wide: true, cell: (row) => (row.cost === null ? "unknown" : money(row.cost)) },
];

function Flow({ tiers: { answer, time, missing } }: { tiers: Tiers }) {
  const { tiers, nothing, reads } = readTiers(answer);
  const flow = (answer?.flow ?? []).map((each) => ({ from: named(each.from), to: named(each.to), count: each.count }));
  const steps = flow.filter((each) => each.to !== "answered").map((each) => ({ from: each.from === "reads" ? null : each.from, to: each.to === NOTHING ? null : each.to, count: each.count }));
  return (
    <Panel title="Where reads are answered" sub={time} span={8} right={nothing !== null && nothing > 0.1 ? <span class="warn">{percent(nothing)}% find nothing</span> : undefined} table={() => ({ columns: ["from", "to", "reads"], rows: flow.map((each) => [each.from, each.to, each.count]) })}>
      {missing ? <p class="panel-said">{missing}</p> : <TierFlow label="Where reads are answered" reads={reads} steps={steps} tiers={tiers.map((tier) => ({ name: tier.name, answered: tier.hits, note: tier.latency === null ? "" : duration(tier.latency / 1000) }))} />}
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
  const [wished, setBy] = useState<"time" | "agent">("time");
  const past = usePastRange();
  const by = past ? "time" : wished;
  const kept = hoursKept(app.moment.now(), past);
  const heads = kept.map(({ at }) => minute(at));
  const of = (each: Item | Gap): number[] => kept.map(({ place }) => each.last_hours?.[place] ?? 0);
  const then = (each: Item | Gap): number => sum(of(each));
  const items = (data?.items ?? []).filter((each) => !past || then(each)).slice(0, ROWS);
  const asked = gaps.filter((each) => !past || then(each)).slice(0, ASKED);
  const agents = [...new Set([...items, ...asked].flatMap((each) => Object.keys(each.agents)))].sort();
  const columns = by === "time" ? heads : agents;
  const cells = (each: Item | Gap): number[] => (by === "time" ? of(each) : agents.map((agent) => each.agents[agent] ?? 0));
  const rows: HeatRow[] = [
    ...items.map((item) => ({ name: item.item, right: shortText(past ? then(item) : by === "time" ? item.last_24h : item.count), far: past ? "" : tierOf(item.tiers), values: cells(item) })),
    ...asked.map((gap) => ({ name: `“${gap.query}”`, right: shortText(past ? then(gap) : gap.count), far: "no answer", values: cells(gap).map(() => null), gaps: cells(gap) })),
  ];
  const time = past && kept.length ? `reads per item and hour, ${rangeWords({ from: kept[0]?.at ?? 0, to: (kept.at(-1)?.at ?? 0) + 3600 }, app.moment.now())}` : past ? "" : "reads per item and hour, last 24 h";
  const nothing = state === "loading" ? "–" : past && !kept.length ? KEPT_24 : past ? "No item was read in this time." : "No item was read yet. Reads come as knowledge.access.";
  return (
    <Panel title="Knowledge" sub={by === "time" ? time : "reads per item and agent"} span={8} right={past ? undefined : <Ways by={by} set={setBy} />}
      table={() => ({ columns: ["item", ...columns], rows: rows.map((row) => [row.name, ...(row.gaps ?? row.values)]) })}>
      {rows.length ? <Heatmap label="Knowledge" rows={rows} columns={columns} heads={["reads", past ? "" : "tier"]} gapWord="asked, no answer" /> : <p class="panel-said">{nothing}</p>}
    </Panel>
  );
}

function Ways({ by, set }: { by: "time" | "agent"; set: (by: "time" | "agent") => void }) {
  return (
    <span role="group" aria-label="Columns">
      <button type="button" class="chip" aria-pressed={by === "time"} onClick={() => set("time")}>by time</button>
      <button type="button" class="chip" aria-pressed={by === "agent"} onClick={() => set("agent")}>by agent</button>
    </span>
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((all, each) => all + each, 0);
}

/** Where most of its reads were answered. */
function tierOf(tiers: Record<string, number>): string {
  const [most] = Object.entries(tiers).sort((left, right) => right[1] - left[1]);
  return most ? tierName(most[0]) : "";
}

const HOUR = 3600;
const KEPT_24 = "Knowledge is kept by hour for 24 hours; this time is gone.";

/** The hours that are kept, the last 24, as far as a past range touches them: their beginning and their place among the 24. */
export function hoursKept(now: number, past: { from: number; to: number } | null): { at: number; place: number }[] {
  const last = Math.floor(now / HOUR);
  const all = Array.from({ length: 24 }, (_, place) => ({ at: (last - 23 + place) * HOUR, place }));
  return past ? all.filter(({ at }) => at + HOUR > past.from && at < past.to) : all;
}

function Gaps() {
  const app = useApp();
  const { data, state } = useResource<{ gaps: Gap[]; miss_ratio: number | null }>("/api/v2/knowledge/gaps", 10);
  const past = usePastRange();
  const kept = hoursKept(app.moment.now(), past);
  const asked = (gap: Gap): number => (past ? sum(kept.map(({ place }) => gap.last_hours[place] ?? 0)) : gap.count);
  const gaps = (data?.gaps ?? []).map((gap) => ({ ...gap, count: asked(gap) })).filter((gap) => gap.count).sort((left, right) => right.count - left.count);
  const share = past ? (kept.length ? "in whole hours" : "") : data?.miss_ratio == null ? "" : `${percent(data.miss_ratio)}% of questions`;
  const nothing = state === "loading" ? "–" : past && !kept.length ? KEPT_24 : past ? "Every question of this time found an answer." : "Every question found an answer.";
  return (
    <Panel title="Asked, not known" sub={share} span={4} right="times" table={() => ({ columns: ["question", "times", "agents"], rows: gaps.map((gap) => [gap.query, gap.count, Object.keys(gap.agents).join(" ")]) })}>
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
        <p class="panel-said">{nothing}</p>
      )}
    </Panel>
  );
}

function Fact() {
  const { answer, time } = useTiers(5);
  const { reads } = readTiers(answer);
  return reads ? <>{exact(reads)} reads{time.startsWith("last") ? ` in the ${time}` : `, ${time}`}</> : null;
}

export const memory: View = { id: "memory", title: "Memory", group: "Platform", icon: "layers", key: "m", body: Memory, fact: Fact };
