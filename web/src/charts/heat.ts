// The six steps of a heat map, by quantile; 0 is a step of its own, and visible as a place.

/** The step (0 to 5) of each value; null stays null. */
export function heatSteps(values: readonly (number | null)[]): (number | null)[] {
  const known = values.filter((value): value is number => value !== null && value > 0).sort((left, right) => left - right);
  const borders = [0.2, 0.4, 0.6, 0.8].map((share) => known[Math.floor(share * known.length)] ?? Infinity);
  return values.map((value) => (value === null ? null : value <= 0 ? 0 : 1 + borders.filter((border) => value >= border).length));
}
