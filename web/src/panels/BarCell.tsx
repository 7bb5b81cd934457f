// A bar within a table: 6 px, the longest fills its column.

export function BarCell({ share, tone = "" }: { share: number; tone?: "" | "warn" }) {
  return (
    <span class="bar-cell" aria-hidden="true">
      <i class={tone} style={{ width: `${share && Math.max(1, Math.min(1, share) * 100)}%` }} />
    </span>
  );
}
