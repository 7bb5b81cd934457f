// Where tokens and money go: figures, tokens over time, by agent, by model, by question, budgets, what would save money.

import { BandChart } from "../../charts/BandChart";
import { LineChart } from "../../charts/LineChart";
import { useApp, useResource } from "../../frame/context";
import type { View } from "../../frame/view";
import { dollars, exact, money, percent, shortText } from "../../format/number";
import { day, iso, minute, parsed } from "../../format/time";
import { Bar } from "../../panels/Gauge";
import { Figure } from "../../panels/Figure";
import { NotServed } from "../../panels/NotServed";
import { Panel } from "../../panels/Panel";
import { Recommendations } from "../../panels/Recommendations";
import { seriesTable } from "../../panels/table";
import { type Column, Table } from "../../panels/Table";
import { BarCell } from "../../panels/BarCell";
import { usePastRange } from "../past";
import { type Accounts, Past } from "./Past";
import { type DayCost, LEAST_DAYS, reached, type Spend, spendOf } from "./spend";

const HOUR = 3600;
const DAY = 86400;

interface Total {
  requests: number;
  failed_requests: number;
  input_tokens: number;
  output_tokens: number;
  cached_input_tokens: number;
  unpriced_requests: number;
}

interface Spent {
  name: string;
  requests: number;
  tokens: number;
  cost_usd: number | null;
  unpriced_requests: number;
  today: { tokens: number; cost_usd: number | null; requests: number; unpriced_requests: number };
}

interface TokenAnswer {
  total: Total;
  today: Total;
  last_hour: Total;
  by_day: (DayCost & Accounts["by_day"][number])[];
  by_hour: (Accounts["by_hour"][number] & { tokens: number })[];
  by: Record<string, Spent[]>;
}

export interface CostAnswer {
  today_usd: number | null;
  month_usd: number;
  last_hour_usd: number;
  projected: { hour: number | null; day: number | null; month: number | null };
  per_query_usd: number | null;
  unpriced: { requests_today: number; tokens_today: number; models: { model: string; requests: number; tokens: number }[] };
  budgets: Budget[];
}

interface Budget {
  budget: string;
  limit_usd: number;
  period: string;
  used_usd: number;
  used_ratio: number;
  agent: string | null;
  model: string | null;
  user: string | null;
}

interface Hour {
  from: string;
  tokens: number;
  lower: number | null;
  upper: number | null;
}

interface Forecast {
  ready: boolean;
  next_hour: { tokens: number; lower: number | null; upper: number | null } | null;
  this_hour: Hour | null;
  ahead: Hour[];
  cold: boolean;
  hours_known: number;
  cover: { promised: number; measured: number | null; hours: number };
}

function Tokens() {
  const tokens = useResource<TokenAnswer>("/api/v2/tokens", 5);
  const costs = useResource<CostAnswer>("/api/v2/costs", 5);
  const app = useApp();
  const past = usePastRange();
  if (tokens.state === "absent") return <NotServed what="Tokens are not counted here" needs="The event processing of this platform does not serve /api/v2/tokens." />;
  if (tokens.data && !tokens.data.total.requests)
    return <NotServed what="No token counts yet" needs="They come with the first request. Send one:" command="hxp publish llm.request.completed model=mixtral-8x7b agent=planner input_tokens=812 output_tokens=96 latency_ms=640" shows="what the month has cost and will cost, tokens and money by agent, model and question, budgets, and what would save money." />;
  if (past) return <Past range={past} accounts={tokens.data} />;
  return (
    <>
      <Figures tokens={tokens.data} costs={costs.data} />
      <div class="row">
        <Month tokens={tokens.data} costs={costs.data} />
        <Panel title="What would save money" right="$ per day" span={4}>
          <Recommendations kinds={["repeated_query", "cache_items", "cheaper_model", "cache_prompt", "retries"]} now={app.moment.now()} daily={daily(tokens.data, app.moment.now())} />
        </Panel>
      </div>
      <div class="row">
        <By title="By agent" rows={tokens.data?.by["agents"] ?? []} span={4} name="Agent" />
        <By title="By model" rows={tokens.data?.by["models"] ?? []} span={4} name="Model" />
        <NextHours tokens={tokens.data} />
      </div>
      <div class="row">
        <Curve />
        <Budgets budgets={costs.data?.budgets ?? []} />
        <Questions costs={costs.data} questions={tokens.data?.by["queries"] ?? []} />
      </div>
    </>
  );
}

function Figures({ tokens, costs }: { tokens: TokenAnswer | null; costs: CostAnswer | null }) {
  const today = tokens?.today;
  const sum = today ? today.input_tokens + today.output_tokens : null;
  const budget = monthly(costs);
  const unpriced = costs?.unpriced.tokens_today ?? 0;
  return (
    <div class="stats">
      <Figure title="Month to date" before="$" text={costs ? money(costs.month_usd) : "–"} meaning={budget ? `${percent(budget.used_ratio)}% of the $${exact(budget.limit_usd)} budget` : "no budget for the month is set"} />
      <Figure title="Projected for the month" before="$" text={costs?.projected.month == null ? "–" : dollars(costs.projected.month)} tone={budget && (costs?.projected.month ?? 0) > budget.limit_usd ? "warn" : ""} meaning={budget && costs?.projected.month != null && costs.projected.month > budget.limit_usd ? `$${dollars(costs.projected.month - budget.limit_usd)} over budget` : "at the pace of the days known"} />
      <Figure title="Today" before="$" text={costs ? money(costs.today_usd) : "–"} tone={unpriced ? "warn" : ""} meaning={unpriced ? `${shortText(unpriced)} tokens have no price` : costs ? `$${money(costs.last_hour_usd)} in the last hour` : ""} />
      <Figure title="Per question" before="$" text={costs?.per_query_usd == null ? "–" : money(costs.per_query_usd)} meaning="requests that name one" />
      <Figure title="Tokens today" text={sum === null ? "–" : shortText(sum).split(" ")[0] ?? ""} unit={sum === null ? "" : shortText(sum).split(" ")[1] ?? ""} meaning={today ? `${shortText(today.cached_input_tokens)} cached, ${shortText(today.output_tokens)} out` : ""} />
    </div>
  );
}

/** The budget of the month that is for everything. */
function monthly(costs: CostAnswer | null): Budget | undefined {
  return costs?.budgets.find((each) => each.period === "month" && !each.agent && !each.model && !each.user);
}

/** What a day costs, in the mean of yesterday and of today so far: the time that recommendations are about. */
function daily(tokens: TokenAnswer | null, now: number): number | null {
  const known = tokens?.by_day.filter((each) => each.day === iso(now).slice(0, 10) || each.day === iso(now - DAY).slice(0, 10)) ?? [];
  const sum = known.reduce((all, each) => all + (each.cost_usd ?? 0), 0);
  return sum ? sum / (1 + (now % DAY) / DAY) : null;
}

/** The month's spend against its budget, with where it goes. */
function Month({ tokens, costs }: { tokens: TokenAnswer | null; costs: CostAnswer | null }) {
  const app = useApp();
  const now = Math.floor(app.moment.now() / 60) * 60;
  const budget = monthly(costs);
  const spend = spendOf(tokens?.by_day ?? [], costs?.today_usd ?? null, costs?.projected ?? { day: null, month: null }, now);
  // A line at 0 would say that it cost nothing.
  const unpriced = tokens !== null && costs !== null && costs.today_usd === null && (spend.past.at(-1)?.[1] ?? 0) === 0;
  const band = spend.ahead.some((each) => each.lower !== null) ? "band: 8 of 10 outcomes" : `a band needs ${LEAST_DAYS} whole days, ${exact(spend.known)} known`;
  const table = () => ({ columns: ["day", "sum usd", "lower", "upper"], rows: [...spend.past.map(([at, value]) => [iso(at), value, null, null]), ...spend.ahead.map((each) => [iso(each.at), each.value, each.lower, each.upper])] });
  return (
    <Panel title="Spend this month" sub="cumulative, $" span={8} right={band} table={table}>
      {unpriced ? <p class="panel-said">No price is known for what was used: there is no spend to show. A line under <code>platform.prices</code> of event processing sets one.</p> : <BandChart title="Spend this month" past={spend.past} ahead={spend.ahead} from={spend.from} to={spend.to} fill height={372} show={dollars} endName="Forecast" now={`now, ${money(spend.past.at(-1)?.[1] ?? 0)}`}
        {...(spend.before.length ? { other: { name: "month before", points: spend.before } } : {})}
        {...(budget ? { limit: { name: `budget ${exact(budget.limit_usd)}`, value: budget.limit_usd }, crossing: usedUp(spend, budget.limit_usd, now) } : {})} />}
    </Panel>
  );
}

/** The day that a budget is used up on, with the range of days that the band gives. */
function usedUp(spend: Spend, limit: number, now: number): { at: number; words: string; more: string } | null {
  const line = [...spend.past, ...spend.ahead.map((each) => [each.at, each.value] as const)];
  const at = reached(line, limit);
  if (at === null) return null;
  if (at <= now) return { at, words: `budget used up on ${day(at)}`, more: "" };
  const edge = (of: "lower" | "upper") => reached([...spend.past, ...spend.ahead.map((each) => [each.at, each[of] ?? each.value] as const)], limit);
  const [early, late] = [edge("upper"), edge("lower")];
  return { at, words: `budget used up on ${day(at)}`, more: early === null || day(early) === day(late ?? spend.to) ? "" : late === null ? `not before ${day(early)}` : `between ${day(early)} and ${day(late)}` };
}

/** Hours that were and hours that are expected. */
function NextHours({ tokens }: { tokens: TokenAnswer | null }) {
  const app = useApp();
  const { data, state } = useResource<Forecast>("/api/v2/forecast/tokens", 30);
  const begun = Math.floor(app.moment.now() / HOUR) * HOUR;
  const past = (tokens?.by_hour ?? []).map((each): [number, number] => [parsed(each.hour) + HOUR, each.tokens]).filter(([at]) => at <= begun);
  const ahead = [...(data?.this_hour ? [data.this_hour] : []), ...(data?.ahead ?? [])].map((each) => ({ at: parsed(each.from) + HOUR, value: each.tokens, lower: each.lower, upper: each.upper })).slice(0, 24);
  const said = state === "absent" ? "Forecasts are not made here." : data && !ahead.length ? `A forecast needs whole hours of data; ${exact(data.hours_known)} known.` : "";
  const note = !data || !ahead.length ? "" : data.cold ? `a guess: ${exact(data.hours_known)} of 48 hours known` : `band: ${exact(Math.round(data.cover.promised * 10))} of 10 outcomes`;
  const table = () => ({ columns: ["hour until", "tokens", "lower", "upper"], rows: [...past.map(([at, value]) => [iso(at), value, null, null]), ...ahead.map((each) => [iso(each.at), each.value, each.lower, each.upper])] });
  return (
    <Panel title="Next hours" sub="tokens per hour" span={4} right={note} table={table}>
      {said && !past.length ? <p class="panel-said">{said}</p> : <BandChart title="Tokens per hour" past={past} ahead={ahead} from={Math.min(past[0]?.[0] ?? begun - DAY, begun - HOUR)} to={ahead.at(-1)?.at ?? begun} show={shortText} endName="Forecast" now={data?.next_hour ? `next hour ${shortText(data.next_hour.tokens)}` : ""} height={230} nowOnTop />}
      {said && past.length ? <p class="small quiet">{said}</p> : null}
    </Panel>
  );
}

function Curve() {
  const app = useApp();
  return (
    <Panel title="Tokens" sub="per minute, in and out" span={4} table={seriesTable(app, ["tokens"])}>
      <LineChart title="Tokens per minute" series={[{ metric: "tokens", name: "tokens", main: true, fill: true }]} unit="/min" low />
    </Panel>
  );
}

const SHOWN = 7;

function By({ title, rows, span, name }: { title: string; rows: readonly Spent[]; span: number; name: string }) {
  const most = Math.max(1e-9, ...rows.map((row) => row.today.cost_usd ?? 0));
  const columns: readonly Column<Spent>[] = [
    { name, long: true, cell: (row) => row.name ?? "others" },
    { name: "share", wide: true, cell: (row) => (row.today.cost_usd === null ? null : <BarCell share={row.today.cost_usd / most} />) },
    { name: "$", number: true, cell: (row) => price(row), class: (row) => (row.today.cost_usd === null || unknown(row) ? "warn" : "strong") },
    { name: "tokens", number: true, cell: (row) => shortText(row.today.tokens) },
  ];
  const sorted = [...rows].sort((left, right) => (right.today.cost_usd ?? 0) - (left.today.cost_usd ?? 0) || right.today.tokens - left.today.tokens);
  const table = () => ({ columns: [name, "usd today", "tokens today", "requests today"], rows: sorted.map((row) => [row.name, row.today.cost_usd, row.today.tokens, row.today.requests]) });
  return (
    <Panel title={title} sub="today" span={span} table={table}>
      <Table label={title} columns={columns} rows={sorted.slice(0, SHOWN)} id={(row) => row.name} />
      {sorted.length > SHOWN ? <p class="quiet small">and {exact(sorted.length - SHOWN)} more</p> : null}
    </Panel>
  );
}

function unknown(row: Spent): boolean {
  return row.today.requests > 0 && row.today.unpriced_requests >= row.today.requests;
}

/** What has no price is "unknown", never 0. */
function price(row: Spent): string {
  return unknown(row) ? "unknown" : money(row.today.cost_usd);
}

/** What is used of each budget, and when it is used up at this pace. */
function Budgets({ budgets }: { budgets: readonly Budget[] }) {
  const app = useApp();
  const table = () => ({ columns: ["budget", "period", "limit usd", "used usd", "share"], rows: budgets.map((each) => [each.budget, each.period, each.limit_usd, each.used_usd, each.used_ratio]) });
  return (
    <Panel title="Budgets" sub="share used" span={4} table={table}>
      {budgets.length ? (
        budgets.map((each) => (
          <div key={each.budget}>
            <Bar title={each.budget} of={`$${money(each.used_usd)} of $${exact(each.limit_usd)} ${each.period === "day" ? "today" : `this ${each.period}`}`} share={each.used_ratio} warn={each.used_ratio >= 0.9} />
            <p class={`small ${pace(each, app.moment.now()) > 1 ? "warn" : "quiet"}`}>{paceWords(each, app.moment.now())}</p>
          </div>
        ))
      ) : (
        <p class="panel-said">No budget is set. One line under <code>platform.budgets</code> of event processing makes one.</p>
      )}
    </Panel>
  );
}

/** The share of a budget that is used by the end of its period, if it goes on as it has. */
function pace(budget: Budget, now: number): number {
  const [from, to] = period(budget, now);
  return budget.used_ratio / Math.max(0.02, (now - from) / (to - from));
}

function paceWords(budget: Budget, now: number): string {
  if (budget.used_ratio >= 1) return "Used up.";
  const [from] = period(budget, now);
  const end = pace(budget, now);
  if (end <= 1) return `At this pace ${percent(Math.round(end * 100) / 100)}% by the end of the ${budget.period}.`;
  const at = from + (now - from) / budget.used_ratio;
  return `At this pace used up ${budget.period === "day" ? `at ${minute(at)}` : `on ${day(at)}`}.`;
}

function period(budget: Budget, now: number): [number, number] {
  const begun = Math.floor(now / DAY) * DAY;
  if (budget.period === "day") return [begun, begun + DAY];
  const date = new Date(now * 1000);
  return [Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / 1000, Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / 1000];
}

function Questions({ costs, questions }: { costs: CostAnswer | null; questions: readonly Spent[] }) {
  const columns: readonly Column<Spent>[] = [
    { name: "Question", long: true, cell: (row) => row.name },
    { name: "requests", number: true, cell: (row) => exact(row.today.requests) },
    { name: "tokens", number: true, wide: true, cell: (row) => shortText(row.today.tokens) },
    { name: "$", number: true, cell: price, class: () => "strong" },
  ];
  const unpriced = costs?.unpriced.models ?? [];
  const sorted = questions.filter((each) => each.name !== null).sort((left, right) => (right.today.cost_usd ?? 0) - (left.today.cost_usd ?? 0));
  const table = () => ({ columns: ["question", "requests today", "tokens today", "usd today"], rows: sorted.map((row) => [row.name, row.today.requests, row.today.tokens, row.today.cost_usd]) });
  return (
    <Panel title="By question" sub="today" span={4} table={table}>
      <Table label="By question" columns={columns} rows={sorted.slice(0, 5)} id={(row) => row.name} nothing="No request names the question it belongs to (field query)." />
      {unpriced.length ? (
        <p class="small quiet" style={{ marginTop: "8px" }}>
          {unpriced.map((each) => each.model).join(", ")} {unpriced.length === 1 ? "has" : "have"} no price. {shortText(unpriced.reduce((sum, each) => sum + each.tokens, 0))} tokens are not in the cost. A line under <code>platform.prices</code> of event processing sets one.
        </p>
      ) : null}
    </Panel>
  );
}

function Fact() {
  const { data } = useResource<TokenAnswer>("/api/v2/tokens", 5);
  const past = usePastRange();
  return data && !past ? <>{exact(data.last_hour.requests)} requests in the last hour</> : null;
}

export const tokens: View = { id: "tokens", title: "Token economics", group: "Platform", icon: "coins", key: "t", body: Tokens, fact: Fact };
