// The measure of an episode over the range that the page shows, with its limit: of all, or of the label set that it is about.

import { LineChart } from "../../charts/LineChart";
import { useApp, useResource } from "../../frame/context";
import { limitOf, metricName } from "../../format/alert";
import { duration } from "../../format/time";
import { FixedLine } from "../../panels/Fixed";
import { groupOf } from "../../panels/severity";
import type { Token } from "../../theme/theme";
import type { Entry } from "./model";

interface Ranged {
  times: number[];
  step_s: number;
  series: { labels: Record<string, string>; values: (number | null)[] }[];
}

interface Shown {
  entry: Entry;
  metric: string;
  limit: number;
  unit: string;
  scale: number;
}

/** `apart`: the rule tells label sets apart, and the measure of all would be another one. */
export function Curve({ entry, apart }: { entry: Entry; apart: boolean }) {
  const app = useApp();
  const condition = limitOf(entry.condition);
  if (!condition || !app.metrics.ring.has(condition.metric)) return null;
  const { metric } = condition;
  const own = app.metrics.units[metric] ?? "";
  const share = own === "" && condition.limit <= 1;
  const scale = share ? 100 : 1;
  const shown = { entry, metric, unit: share ? "%" : own, scale, limit: condition.limit * scale };
  const labels = groupOf(app, metric, entry.labels)?.labels;
  if (apart && !labels) return null;
  return (
    <section aria-label={metric} class="panel">
      <div class="panel-head">
        <h3>{metricName(metric)}</h3>
        <span class="sub">{[...Object.entries(labels ?? {}).map((pair) => pair.join(" ")), shown.unit === "ms" ? "" : shown.unit].filter(Boolean).join(", ")}</span>
        <span class="right">evaluated every {duration(app.metrics.tick)}</span>
      </div>
      {labels && app.serves("/analytics/range") ? <OfOne {...shown} labels={labels} /> : <OfAll {...shown} />}
    </section>
  );
}

function colourOf(entry: Entry): Token {
  return entry.priority === "critical" ? "crit" : "warn-f";
}

function OfAll({ entry, metric, unit, scale, limit }: Shown) {
  return <LineChart title={metric} series={[{ metric, name: metricName(metric), colour: colourOf(entry), main: true }]} unit={unit} scale={scale} limit={limit} rule={entry.rule} tinted />;
}

/** Steps in a range; more are not told apart. The least is the window of the snapshots' own values. */
const STEPS = 240;

/** The snapshots carry what a label set is now; what it was is asked for. */
function OfOne({ entry, metric, unit, scale, limit, labels }: Shown & { labels: Record<string, string> }) {
  const { moment } = useApp();
  const span = moment.span.value;
  const step = [60, 300, 3600].find((each) => each >= span / STEPS) ?? 86_400;
  const range = moment.mode.value === "past" ? `from=${Math.floor(moment.start())}&to=${Math.ceil(moment.end())}` : `from=-${span}s&to=now`;
  const { data } = useResource<Ranged>(`/analytics/range?metric=${metric}&${range}&step=${step}&by=${Object.keys(labels).join()}`, 5);
  const own = data?.series.find((each) => Object.entries(labels).every(([name, value]) => each.labels[name] === value));
  const values = (own?.values ?? []).map((value) => (value === null ? null : value * scale));
  const name = Object.values(labels).join(", ");
  const panel = { panel_id: metric, panel_type: "graph", title: metric, unit, query: "", scale: 1, limit, kind: "series", start: data?.times[0] ?? 0, step: data?.step_s ?? step, ...(data ? { series: { [name]: values } } : {}) };
  return <FixedLine panel={panel} spans={[{ start: entry.since, end: entry.end, priority: entry.priority }]} colour={colourOf(entry)} />;
}
