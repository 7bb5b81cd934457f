// Where tokens and money go: figures, tokens over time, by agent, by model, by question, budgets, what would save money.

import { LineChart } from "../charts/LineChart";
import { useApp, useResource } from "../frame/context";
import type { View } from "../frame/view";
import { exact, money, percent, shortText } from "../format/number";
import { Bar } from "../panels/Gauge";
import { Figure } from "../panels/Figure";
import { NotServed } from "../panels/NotServed";
import { Panel } from "../panels/Panel";
import { Recommendations } from "../panels/Recommendations";
import { seriesTable } from "../panels/table";
import { type Column, Table } from "../panels/Table";
import { BarCell } from "../panels/BarCell";

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
  by: Record<string, Spent[]>;
}

export interface CostAnswer {
  today_usd: number;
  month_usd: number;
  last_hour_usd: number;
  projected: { hour: number | null; day: number | null; month: number | null };
  per_query_usd: number | null;
  unpriced: { requests_today: number; tokens_today: number; models: { model: string; requests: number; tokens: number }[] };
  budgets: { budget: string; usd: number; period: string; used_usd: number; used_ratio: number }[];
}

interface Forecast {
  next_hour: { tokens: number | null; lower: number | null; upper: number | null } | null;
  cold: boolean;
  hours_known: number;
}

function Tokens() {
  const tokens = useResource<TokenAnswer>("/api/v2/tokens", 5);
  const costs = useResource<CostAnswer>("/api/v2/costs", 5);
  if (tokens.state === "absent") return <NotServed what="Tokens are not counted here" needs="The event processing of this platform does not serve /api/v2/tokens." />;
  if (tokens.data && !tokens.data.total.requests)
    return <NotServed what="No token counts yet" needs="They come with the first request. Send one:" command="hxp publish llm.request.completed model=mixtral-8x7b agent=planner input_tokens=812 output_tokens=96 latency_ms=640" />;
  return (
    <>
      <Figures tokens={tokens.data} costs={costs.data} />
      <div class="row">
        <Curve />
        <Panel title="What would save money" sub="since yesterday" span={4}>
          <Recommendations kinds={["repeated_query", "cache_items", "cheaper_model", "cache_prompt", "retries"]} />
        </Panel>
      </div>
      <div class="row">
        <By title="By agent" rows={tokens.data?.by["agents"] ?? []} span={4} name="Agent" />
        <By title="By model" rows={tokens.data?.by["models"] ?? []} span={4} name="Model" />
        <Side costs={costs.data} questions={tokens.data?.by["queries"] ?? []} />
      </div>
    </>
  );
}

function Figures({ tokens, costs }: { tokens: TokenAnswer | null; costs: CostAnswer | null }) {
  const today = tokens?.today;
  const sum = today ? today.input_tokens + today.output_tokens : null;
  const budget = costs?.budgets.find((each) => each.period === "month");
  const unpriced = costs?.unpriced.tokens_today ?? 0;
  return (
    <div class="stats">
      <Figure title="Month to date" before="$" text={costs ? money(costs.month_usd) : "–"} meaning={budget ? `${percent(budget.used_ratio)}% of the $${exact(budget.usd)} budget` : "no budget for the month is set"} />
      <Figure title="Projected for the month" before="$" text={costs?.projected.month == null ? "–" : exact(Math.round(costs.projected.month))} tone={budget && (costs?.projected.month ?? 0) > budget.usd ? "warn" : ""} meaning={budget && costs?.projected.month != null && costs.projected.month > budget.usd ? `$${exact(Math.round(costs.projected.month - budget.usd))} over budget` : "at the pace of the days known"} />
      <Figure title="Today" before="$" text={costs ? money(costs.today_usd) : "–"} tone={unpriced ? "warn" : ""} meaning={unpriced ? `${shortText(unpriced)} tokens without a known price` : costs ? `$${money(costs.last_hour_usd)} in the last hour` : ""} />
      <Figure title="Per question" before="$" text={costs?.per_query_usd == null ? "–" : money(costs.per_query_usd)} meaning="requests that name one" />
      <Figure title="Tokens today" text={sum === null ? "–" : shortText(sum).split(" ")[0] ?? ""} unit={sum === null ? "" : shortText(sum).split(" ")[1] ?? ""} meaning={today ? `${shortText(today.input_tokens)} in, ${shortText(today.cached_input_tokens)} of it cached, ${shortText(today.output_tokens)} out` : ""} />
    </div>
  );
}

function Curve() {
  const app = useApp();
  const { data, state } = useResource<Forecast>("/api/v2/forecast/tokens", 30);
  const next = data?.next_hour;
  const expected = data?.cold || next?.tokens == null ? (state === "absent" ? "" : `a forecast needs 24 hours of data, ${exact(data?.hours_known ?? 0)} are known`) : `next hour ${shortText(next.tokens)}${next.lower === null ? "" : `, ${shortText(next.lower)} to ${shortText(next.upper)}`}`;
  return (
    <Panel title="Tokens" sub="per minute, in and out" span={8} right={expected} table={seriesTable(app, ["tokens"])}>
      <LineChart title="Tokens per minute" series={[{ metric: "tokens", name: "tokens", main: true, fill: true }]} unit="/min" />
    </Panel>
  );
}

const SHOWN = 7;

function By({ title, rows, span, name }: { title: string; rows: readonly Spent[]; span: number; name: string }) {
  const most = Math.max(1e-9, ...rows.map((row) => row.today.cost_usd ?? 0));
  const columns: readonly Column<Spent>[] = [
    { name, cell: (row) => row.name },
    { name: "share", wide: true, cell: (row) => <BarCell share={(row.today.cost_usd ?? 0) / most} /> },
    { name: "$", number: true, cell: (row) => price(row), class: (row) => (row.today.cost_usd === null || unknown(row) ? "warn" : "strong") },
    { name: "tokens", number: true, cell: (row) => shortText(row.today.tokens) },
  ];
  const sorted = [...rows].sort((left, right) => (right.today.cost_usd ?? 0) - (left.today.cost_usd ?? 0) || right.today.tokens - left.today.tokens);
  const table = () => ({ columns: [name, "usd today", "tokens today", "requests today"], rows: sorted.map((row) => [row.name, row.today.cost_usd, row.today.tokens, row.today.requests]) });
  return (
    <Panel title={title} sub="today" span={span} table={table}>
      <Table label={title} columns={columns} rows={sorted.slice(0, SHOWN)} id={(row) => row.name} />
      {sorted.length > SHOWN ? <p class="quiet small">and {exact(sorted.length - SHOWN)} others</p> : null}
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

function Side({ costs, questions }: { costs: CostAnswer | null; questions: readonly Spent[] }) {
  const budgets = costs?.budgets ?? [];
  const columns: readonly Column<Spent>[] = [
    { name: "Question", cell: (row) => row.name },
    { name: "$", number: true, cell: price, class: () => "strong" },
  ];
  const unpriced = costs?.unpriced.models ?? [];
  return (
    <Panel title={budgets.length ? "Budgets" : "By question"} sub="today" span={4}>
      {budgets.map((each) => <Bar key={each.budget} title={each.budget} of={`$${money(each.used_usd)} of $${exact(each.usd)} a ${each.period}`} share={each.used_ratio} warn={each.used_ratio >= 0.9} />)}
      <Table label="By question" columns={columns} rows={questions.slice(0, budgets.length ? 4 : SHOWN)} id={(row) => row.name} nothing="No request names the question it belongs to (field query)." />
      {unpriced.length ? (
        <p class="small quiet" style={{ marginTop: "8px" }}>
          No price is known for {unpriced.map((each) => each.model).join(", ")}: {shortText(unpriced.reduce((sum, each) => sum + each.tokens, 0))} tokens are not in the cost.
        </p>
      ) : null}
    </Panel>
  );
}

function Fact() {
  const { data } = useResource<TokenAnswer>("/api/v2/tokens", 5);
  return data ? <>{exact(data.last_hour.requests)} requests in the last hour</> : null;
}

export const tokens: View = { id: "tokens", title: "Token economics", group: "Platform", icon: "coins", key: "t", body: Tokens, fact: Fact };
