// Panels in rows of twelve columns.

import type { PanelData } from "../data/board";

/** Stats that follow each other share a row of their own, six at most; so do gauges without a width of their own, four at most. */
export function rows(panels: readonly PanelData[]): PanelData[][] {
  const made: PanelData[][] = [];
  let taken = 12;
  for (const [index, panel] of panels.entries()) {
    const last = made.at(-1);
    if (plainGauge(panel) && (plainGauge(panels[index + 1]) || plainGauge(panels[index - 1]))) {
      if (last?.every(plainGauge) && last.length < GAUGES) last.push(panel);
      else made.push([panel]);
      taken = 12;
      continue;
    }
    if (panel.panel_type === "stat") {
      if (last?.[0]?.panel_type === "stat" && last.length < 6) last.push(panel);
      else made.push([panel]);
      taken = 12;
      continue;
    }
    const columns = usual(panel);
    if (last && last[0]?.panel_type !== "stat" && taken + columns <= 12) last.push(panel);
    else {
      made.push([panel]);
      taken = 0;
    }
    taken += columns;
  }
  return made;
}

const GAUGES = 4;

function plainGauge(panel: PanelData | undefined): boolean {
  return panel?.panel_type === "gauge" && !panel.width;
}

/** Columns of a panel: its own width, else what its type usually takes. */
export function usual(panel: PanelData): number {
  if (panel.width) return Math.max(2, Math.min(12, panel.width));
  return panel.panel_type === "gauge" ? 3 : panel.kind === "events" ? 8 : 6;
}

/** The last of a row takes what is left. */
export function width(panel: PanelData, row: readonly PanelData[]): number {
  if (row.every(plainGauge)) return 12 / row.length;
  const others = row.slice(0, -1).reduce((sum, each) => sum + usual(each), 0);
  return panel === row.at(-1) ? 12 - others : usual(panel);
}
