// Memory tiers, as `GET /api/v2/memory/tier-stats` has them.

import { tierName } from "../format/sentence";

export interface TierAnswer {
  window_hours: number;
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
