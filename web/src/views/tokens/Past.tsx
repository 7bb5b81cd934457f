// Tokens and money of a range that is over: sums as they are kept, by whole hours or days; rates and curves to the second.

import { BandChart } from "../../charts/BandChart";
import { LineChart } from "../../charts/LineChart";
import { useApp } from "../../frame/context";
import { exact, money, percent, shortText } from "../../format/number";
import { day, iso, minute, parsed } from "../../format/time";
import { BarCell } from "../../panels/BarCell";
import { Figure } from "../../panels/Figure";
import { Panel } from "../../panels/Panel";
import { seriesTable } from "../../panels/table";
import { type Column, Table } from "../../panels/Table";
import { measuredTable, nothingThen, RATE, TOKENS } from "../columns";
import { type Measured, type PastMeasured, usePastMeasured } from "../measured";
import { type Range, rangeWords } from "../past";

const HOUR = 3600;
const DAY = 86400;

interface Kept {
  cost_usd: number | null;
  unpriced_requests: number;
  requests: number;
  failed_requests: number;
  tokens: number;
}

/** What of the accounts of tokens is kept by time. */
export interface Accounts {
  by_hour: (Kept & { hour: string })[];
  by_day: (Kept & { day: string })[];
}

export function Past({ range, accounts }: { range: Range; accounts: Accounts | null }) {
  const app = useApp();
  const models = usePastMeasured("model");
  const agents = usePastMeasured("agent");
  const spent = accounts ? spentIn(accounts, range, app.moment.now()) : null;
  return (
    <>
      <Figures spent={spent} />
      <div class="row">
        <Panel title="Tokens" sub="per minute, in and out" span={8} table={seriesTable(app, ["tokens"])}>
          <LineChart title="Tokens per minute" series={[{ metric: "tokens", name: "tokens", main: true, fill: true }]} unit="/min" />
        </Panel>
        <SpendThen spent={spent} />
      </div>
      <div class="row">
        <By title="By agent" name="Agent" found={agents} range={range} />
        <By title="By model" name="Model" found={models} range={range} />
        <Panel title="Not kept by time" span={4}>
          <p class="panel-said">Projections, forecasts, budgets, advice and costs by question are those of now. Back to live shows them.</p>
          <p class="panel-said">
            Money by agent and by model is kept by day: <code>hxp export costs</code> has it.
          </p>
        </Panel>
      </div>
    </>
  );
}

export interface Spent extends Range {
  /** "hours" or "days" that the range touches. */
  unit: "hours" | "days";
  /** Sum up to each end. */
  points: [at: number, usd: number][];
  unpriced: number;
  requests: number;
  failed: number;
  tokens: number;
}

/** Money of the whole hours that a range touches, or of its days where hours are no longer kept; one that has begun ends now. Null: neither is kept. */
export function spentIn({ by_hour, by_day }: Accounts, range: Range, now: number): Spent | null {
  const hours = by_hour.map((each) => ({ ...each, at: parsed(each.hour) }));
  if (hours.length && range.from >= (hours[0]?.at ?? Infinity)) return summed("hours", HOUR, hours, range, now);
  const days = by_day.map((each) => ({ ...each, at: parsed(`${each.day}T00:00:00Z`) }));
  return days.length && range.to > (days[0]?.at ?? Infinity) ? summed("days", DAY, days, range, now) : null;
}

function summed(unit: Spent["unit"], length: number, kept: readonly (Kept & { at: number })[], range: Range, now: number): Spent {
  const [from, to] = [Math.floor(range.from / length) * length, Math.min(now, Math.ceil(range.to / length) * length)];
  const points: [number, number][] = [[from, 0]];
  const sums = { unpriced: 0, requests: 0, failed: 0, tokens: 0 };
  let usd = 0;
  for (const each of kept.filter(({ at }) => at >= from && at < to).sort((left, right) => left.at - right.at)) {
    usd += each.cost_usd ?? 0;
    sums.unpriced += each.unpriced_requests;
    sums.requests += each.requests;
    sums.failed += each.failed_requests;
    sums.tokens += each.tokens;
    points.push([Math.min(to, each.at + length), usd]);
  }
  if ((points.at(-1)?.[0] ?? to) < to) points.push([to, usd]);
  return { from, to, unit, points, ...sums };
}

function Figures({ spent }: { spent: Spent | null }) {
  const time = spent ? timeOf(spent) : "not kept for this time";
  const [text = "–", unit = ""] = spent ? shortText(spent.tokens).split(" ") : [];
  return (
    <div class="stats">
      <Figure title="Spent" before="$" text={spent ? money(spent.points.at(-1)?.[1]) : "–"} meaning={spent?.unpriced ? `${shortText(spent.unpriced)} requests without a price` : time} tone={spent?.unpriced ? "warn" : ""} />
      <Figure title="Tokens" text={text} unit={unit} meaning={time} />
      <Figure title="Requests" text={exact(spent?.requests)} meaning={time} />
      <Figure title="Failed" text={exact(spent?.failed)} meaning={spent?.requests ? `${percent(spent.failed / spent.requests)}% of them` : ""} />
    </div>
  );
}

/** "10:00 to 12:00, whole hours" */
function timeOf({ from, to, unit }: Spent): string {
  const time = unit === "hours" ? `${minute(from)} to ${minute(to)}` : to - from <= DAY ? day(from) : `${day(from)} to ${day(to - 1)}`;
  return `${time}, whole ${unit}`;
}

function SpendThen({ spent }: { spent: Spent | null }) {
  const table = () => ({ columns: ["until", "sum usd"], rows: (spent?.points ?? []).map(([at, value]) => [iso(at), value]) });
  return (
    <Panel title="Spent" sub={spent ? `cumulative, $, by ${spent.unit}` : "$"} span={4} table={table}>
      {spent ? (
        <BandChart title="Spent" past={spent.points} ahead={[]} from={spent.from} to={spent.to} fill height={244} show={money} endName="in all" now="" />
      ) : (
        <p class="panel-said">Money is kept by hour for two days and by day for two months; this time is gone.</p>
      )}
    </Panel>
  );
}

function By({ title, name, found, range }: { title: string; name: string; found: PastMeasured | null; range: Range }) {
  const { moment } = useApp();
  const rows = [...(found?.rows ?? [])].sort((left, right) => (right.tokens ?? 0) - (left.tokens ?? 0));
  const most = Math.max(1e-9, ...rows.map((row) => row.tokens ?? 0));
  const columns: readonly Column<Measured>[] = [
    { name, long: true, cell: (row) => row.name },
    { name: "share", wide: true, cell: (row) => <BarCell share={(row.tokens ?? 0) / most} /> },
    RATE,
    { ...TOKENS, wide: false, class: () => "strong" },
  ];
  return (
    <Panel title={title} sub={rangeWords(range, moment.now())} span={4} table={() => measuredTable(name.toLowerCase(), rows)}>
      <Table label={title} columns={columns} rows={rows.slice(0, 10)} id={(row) => row.name} nothing={nothingThen("Requests", found?.state)} />
    </Panel>
  );
}
