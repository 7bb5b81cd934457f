// Memory tiers, as `GET /api/v2/memory/tier-stats` has them.

export interface TierAnswer {
  tiers?: unknown;
  total?: number;
  [name: string]: unknown;
}

export interface Tier {
  name: string;
  /** Share of all reads that this tier answered, 0 to 1. */
  share: number;
  hits: number;
  reads: number;
  /** Median, ms. */
  latency: number | null;
  p95: number | null;
  cost: number | null;
}

interface RawTier {
  tier?: string;
  name?: string;
  hits?: number;
  misses?: number;
  accesses?: number;
  reads?: number;
  latency_p50_ms?: number | null;
  p50_ms?: number | null;
  avg_latency_ms?: number | null;
  latency_p95_ms?: number | null;
  p95_ms?: number | null;
  cost_usd?: number | null;
}

/** Tiers in the order that reads go through them, and the share of reads that found nothing. */
export function readTiers(answer: TierAnswer | null): { tiers: Tier[]; nothing: number | null; reads: number } {
  const raw = rows(answer);
  const asked = Math.max(0, ...raw.map((tier) => readsOf(tier)));
  const answered = raw.reduce((sum, tier) => sum + (tier.hits ?? 0), 0);
  const reads = Math.max(asked, answered);
  const tiers = raw.map((tier) => ({
    name: tier.tier ?? tier.name ?? "",
    share: reads ? (tier.hits ?? 0) / reads : 0,
    hits: tier.hits ?? 0,
    reads: readsOf(tier),
    latency: tier.latency_p50_ms ?? tier.p50_ms ?? tier.avg_latency_ms ?? null,
    p95: tier.latency_p95_ms ?? tier.p95_ms ?? null,
    cost: tier.cost_usd ?? null,
  }));
  return { tiers, nothing: reads ? Math.max(0, 1 - answered / reads) : null, reads };
}

function rows(answer: TierAnswer | null): RawTier[] {
  const tiers = answer?.tiers;
  if (Array.isArray(tiers)) return tiers as RawTier[];
  if (typeof tiers === "object" && tiers !== null) return Object.entries(tiers).map(([name, each]) => ({ name, ...(each as RawTier) }));
  return [];
}

function readsOf(tier: RawTier): number {
  return tier.reads ?? tier.accesses ?? (tier.hits ?? 0) + (tier.misses ?? 0);
}
