// Memory tiers, as `GET /api/v2/memory/tier-stats` has them.

import { useApp, useResource } from "../frame/context";
import { tierName } from "../format/sentence";
import { parsed } from "../format/time";
import { rangeWords, usePast, usePastRange } from "./past";

export interface TierAnswer {
  window_hours: number;
  /** RFC 3339, of a time that was asked for. */
  from?: string;
  to?: string;
  answered: number;
  tiers: Record<string, RawTier>;
  cost_by_tier: Record<string, number | null>;
  flow: { from: string; to: string; count: number }[];
}

interface RawTier {
  reads: number;
  hits: number;
  misses: number;
  lookup_hit_rate: number | null;
  latency_ms: { p50: number | null; p95: number | null } | null;
}

export interface Tier {
  name: string;
  /** Share of all reads that this tier answered, 0 to 1. */
  share: number;
  hits: number;
  reads: number;
  /** Share of the reads that reached it. */
  rate: number | null;
  /** Median, ms. */
  latency: number | null;
  p95: number | null;
  cost: number | null;
}

/** Tiers in the order that reads go through them, and the share of reads that found nothing. */
export function readTiers(answer: TierAnswer | null): { tiers: Tier[]; nothing: number | null; reads: number } {
  const entries = Object.entries(answer?.tiers ?? {});
  const unanswered = (answer?.flow ?? []).filter((each) => each.to === "unanswered" || each.to === "nothing" || each.to === "miss").reduce((sum, each) => sum + each.count, 0);
  const reads = (answer?.answered ?? 0) + unanswered;
  if (!reads) return { tiers: [], nothing: null, reads: 0 };
  const tiers = entries.map(([name, tier]) => ({
    name: tierName(name),
    share: tier.hits / reads,
    hits: tier.hits,
    reads: tier.reads,
    rate: tier.lookup_hit_rate,
    latency: tier.latency_ms?.p50 ?? null,
    p95: tier.latency_ms?.p95 ?? null,
    cost: answer?.cost_by_tier[name] ?? null,
  }));
  return { tiers, nothing: unanswered / reads, reads };
}

const LIVE = "/api/v2/memory/tier-stats?window_hours=24";
/** Seconds that hours of tiers are kept. */
const KEPT = 168 * 3600;

export interface Tiers {
  state: "loading" | "ready" | "absent" | "failed";
  answer: TierAnswer | null;
  /** The time that it is about, in words. */
  time: string;
  /** Why there is nothing to show of a time that is over. */
  missing: string;
}

/** The last 24 hours, or the whole hours of a range that is over. */
export function useTiers(every: number): Tiers {
  const app = useApp();
  const now = useResource<TierAnswer>(LIVE, every);
  const range = usePastRange();
  const found = usePast<TierAnswer>(range && now.state !== "absent" ? [`/api/v2/memory/tier-stats?from=${Math.floor(range.from)}&to=${Math.ceil(range.to)}`] : null);
  if (!range || now.state === "absent") return { state: now.state, answer: now.data, time: "last 24 hours", missing: "" };
  const answer = found?.answers?.[0] ?? null;
  const time = answer?.from && answer.to ? `${rangeWords({ from: parsed(answer.from), to: parsed(answer.to) }, app.moment.now())}, whole hours` : "";
  const gone = range.to < app.moment.now() - KEPT;
  const missing = gone ? "Reads are kept by hour for seven days; this time is gone." : answer && !readTiers(answer).reads ? "No reads of memory in this time." : found?.state === "failed" ? "The service gives no answer about this time." : "";
  return { state: found?.state ?? "loading", answer, time, missing };
}
