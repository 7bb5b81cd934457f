// "7 / 10" and a bar, within a table.

import { exact } from "../format/number";

export function LoadCell({ load, capacity }: { load: number; capacity: number | null }) {
  const share = capacity ? load / capacity : 0;
  return (
    <span class="load-cell num">
      <b>{exact(load)}</b>
      <span class="quiet">{capacity ? `/ ${exact(capacity)}` : ""}</span>
      {capacity ? (
        <span class="bar-cell">
          <i class={share >= 0.9 ? "warn" : ""} style={{ width: share ? `${Math.min(100, Math.max(2, share * 100))}%` : 0 }} />
        </span>
      ) : null}
    </span>
  );
}
