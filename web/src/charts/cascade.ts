// How reads go through tiers, as a drawing: each tier stands one step lower, so that what it answers runs straight out.

export interface CascadeTier {
  name: string;
  /** What it answered. */
  answered: number;
}

/** `from` is a tier or `null` (asked first there); `to` a tier or `null` (nothing found). */
export interface Step {
  from: string | null;
  to: string | null;
  count: number;
}

export interface Ribbon {
  from: string;
  to: string;
  kind: "answered" | "on" | "nothing";
  value: number;
  /** 1 for the first tier, less for each further one. */
  strength: number;
  x0: number;
  y0: number;
  x1: number;
  y1: number;
  width: number;
}

export interface Bar {
  name: string;
  x: number;
  y: number;
  height: number;
}

export interface Drawn {
  ribbons: Ribbon[];
  tiers: Bar[];
  /** Where reads come from, and where they end; the last end is "nothing found". */
  begin: Bar;
  ends: Bar[];
}

export const THICK = 5;
const GAP = 14;
export const NOTHING = "nothing found";

/** Lay reads out in a box; heights are shares of `height`. */
export function cascade(tiers: readonly CascadeTier[], steps: readonly Step[], box: { left: number; right: number; top: number; height: number }): Drawn {
  const lost = steps.filter((step) => step.to === null);
  const nothing = sum(lost);
  const total = tiers.reduce((all, tier) => all + tier.answered, 0) + nothing;
  const ends = tiers.length + (nothing ? 1 : 0);
  const scale = total ? Math.max(0, box.height - GAP * (ends - 1)) / total : 0;
  const x = (index: number) => box.left + ((index + 1) / (tiers.length + 1)) * (box.right - box.left);
  const ribbons: Ribbon[] = [];
  const bars: Bar[] = [];
  const out: Bar[] = [];
  let y = box.top;
  // Where each place has room for what goes on from it: tiers after what they answered, the begin from its top.
  const free = new Map<string | null, number>([[null, box.top]]);
  tiers.forEach((tier, index) => {
    const into = steps.filter((step) => step.to === tier.name && step.count > 0);
    const height = sum(into) * scale;
    bars.push({ name: tier.name, x: x(index), y, height: Math.max(1, height) });
    let at = y;
    for (const step of inOrder(into, tiers)) {
      const width = step.count * scale;
      const start = free.get(step.from) ?? y;
      ribbons.push({ from: step.from ?? "reads", to: tier.name, kind: "on", value: step.count, strength: 1, x0: step.from === null ? box.left : x(place(tiers, step.from)), y0: start + width / 2, x1: x(index), y1: at + width / 2, width });
      free.set(step.from, start + width);
      at += width;
    }
    const answered = tier.answered * scale;
    if (tier.answered) ribbons.push({ from: tier.name, to: "answered", kind: "answered", value: tier.answered, strength: Math.max(0.4, 1 - index * 0.25), x0: x(index), y0: y + answered / 2, x1: box.right, y1: y + answered / 2, width: answered });
    out.push({ name: tier.name, x: box.right, y, height: Math.max(1, answered) });
    free.set(tier.name, y + answered);
    y += answered + GAP;
  });
  if (nothing) {
    let at = y;
    for (const step of lost) {
      const width = step.count * scale;
      const start = free.get(step.from) ?? y;
      ribbons.push({ from: step.from ?? "reads", to: NOTHING, kind: "nothing", value: step.count, strength: 1, x0: step.from === null ? box.left : x(place(tiers, step.from)), y0: start + width / 2, x1: box.right, y1: at + width / 2, width: Math.max(1, width) });
      free.set(step.from, start + width);
      at += width;
    }
    out.push({ name: NOTHING, x: box.right, y, height: Math.max(1, nothing * scale) });
  }
  const begun = steps.filter((step) => step.from === null);
  return { ribbons, tiers: bars, begin: { name: "reads", x: box.left, y: box.top, height: Math.max(1, sum(begun) * scale) }, ends: out };
}

function sum(steps: readonly Step[]): number {
  return steps.reduce((all, step) => all + step.count, 0);
}

function place(tiers: readonly CascadeTier[], name: string): number {
  return tiers.findIndex((tier) => tier.name === name);
}

/** What comes from earlier tiers lies above what is asked for the first time. */
function inOrder(steps: readonly Step[], tiers: readonly CascadeTier[]): Step[] {
  const rank = (step: Step) => (step.from === null ? tiers.length : place(tiers, step.from));
  return [...steps].sort((left, right) => rank(left) - rank(right));
}
