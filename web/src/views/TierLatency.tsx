// How fast each tier was, hour by hour: of the last day, or of a range that is over.

import { type HourLine, LogLines } from "../charts/LogLines";
import { useApp, useResource } from "../frame/context";
import { tierName } from "../format/sentence";
import { iso, parsed } from "../format/time";
import { Panel } from "../panels/Panel";
import type { Token } from "../theme/theme";
import { usePast, usePastRange } from "./past";

interface TierHour {
  hour: string;
  tier: string;
  p95_ms: number | null;
}

const HOUR = 3600;
const DAY = 86400;
/** The slowest first, as they stand at the right; shades of one measure. */
const TIERS: readonly (readonly [tier: string, colour: Token])[] = [["chromadb", "q99"], ["postgresql", "q95"], ["redis", "q50"]];

export function TierLatency() {
  const { moment } = useApp();
  const past = usePastRange();
  const live = useResource<TierHour[]>(address("-24h", ""), 60);
  const then = usePast<TierHour[]>(past ? [address(iso(Math.floor(past.from / HOUR) * HOUR), iso(past.to))] : null);
  if (live.state === "absent") return null;
  const hours = past ? (then?.answers?.[0] ?? []) : (live.data ?? []);
  const lines = TIERS.map(([tier, colour]): HourLine => ({ name: tierName(tier), colour, points: hours.filter((each) => each.tier === tier && each.p95_ms !== null).map((each) => [parsed(each.hour), each.p95_ms as number]) })).filter((line) => line.points.length);
  const begun = Math.floor(moment.end() / HOUR) * HOUR;
  const from = past ? Math.min(begun, ...lines.flatMap((line) => line.points.map(([at]) => at))) : begun - DAY;
  return (
    <Panel title="p95 latency" sub="ms by hour, log scale" table={() => ({ columns: ["hour", "tier", "p95 ms"], rows: hours.map((each) => [each.hour, tierName(each.tier), each.p95_ms]) })}>
      {lines.length ? <LogLines title="p95 latency by tier" unit="ms" lines={lines} from={from} to={Math.max(begun, from + HOUR)} /> : <p class="panel-said">{past ? "No reads of memory are kept of this time." : "–"}</p>}
    </Panel>
  );
}

function address(from: string, to: string): string {
  return `/api/v2/export/analytics?what=tier_hours&format=json&from=${from}${to && `&to=${to}`}`;
}
