// State over time: height carries the state, 3 px connected, 9 px slow, 14 px away, dots off; an outage of seconds is still seen on a day.

interface Change {
  at: number;
  state: string;
}

const HEIGHT: Record<string, number> = { ok: 3, failing: 9, away: 14, off: 0 };
const WIDTH = 240;

export function StateHistory({ changes, now, span }: { changes: readonly Change[]; now: number; span: number }) {
  // Each part is seen, however short: an outage of seconds still has two pixels.
  const from = now - span;
  const x = (at: number) => ((Math.max(at, from) - from) / span) * WIDTH;
  const parts = changes.map((change, index) => ({ ...change, end: changes[index + 1]?.at ?? Infinity })).filter((part) => part.end > from && part.at < now);
  return (
    <svg class="states" width="100%" height={16} viewBox={`0 0 ${WIDTH} 16`} preserveAspectRatio="none" role="img" aria-label={parts.map((part) => part.state).join(", then ")}>
      <line x1="0" x2={WIDTH} y1="14" y2="14" class="none" />
      {parts.map((part) => (
        <rect key={part.at} x={x(part.at)} width={Math.max(2, x(Math.min(part.end, now)) - x(part.at))} y={16 - (HEIGHT[part.state] ?? 1)} height={HEIGHT[part.state] ?? 1} class={part.state} />
      ))}
    </svg>
  );
}
