// A dashboard from a definition: its panels in rows, each by its type.

import { useEffect } from "preact/hooks";
import { useApp } from "../frame/context";
import { route, type View } from "../frame/view";
import type { PanelData } from "../data/board";
import { Attention } from "../panels/Attention";
import { DefinedPanel, DefinedStat } from "../panels/Defined";

function Board() {
  const app = useApp();
  const name = route.value.dashboard;
  const board = app.board(name);
  useEffect(() => void (app.booted.value && board.load()), [board, app.booted.value]);
  if (board.state.value === "failed") return <p class="panel-said">{board.error.value}</p>;
  const panels = board.panels.value;
  return (
    <>
      <Attention />
      {board.faults.value.map((fault) => (
        <p class="fault-box" role="alert" key={fault}>
          {fault}
        </p>
      ))}
      {rows(panels).map((row, index) =>
        row[0]?.panel_type === "stat" ? (
          <div class="stats" key={index}>
            {row.map((panel) => <DefinedStat key={panel.panel_id} panel={panel} />)}
          </div>
        ) : (
          <div class="row" key={index}>
            {row.map((panel) => <DefinedPanel key={panel.panel_id} panel={panel} span={width(panel, row)} />)}
          </div>
        ),
      )}
    </>
  );
}

/** Panels in rows of twelve columns; stats that follow each other share a row of their own, six at most. */
export function rows(panels: readonly PanelData[]): PanelData[][] {
  const made: PanelData[][] = [];
  let taken = 12;
  for (const panel of panels) {
    const last = made.at(-1);
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

function usual(panel: PanelData): number {
  if (panel.width) return Math.max(2, Math.min(12, panel.width));
  return panel.panel_type === "gauge" ? 3 : panel.kind === "events" ? 8 : 6;
}

/** The last of a row takes what is left. */
function width(panel: PanelData, row: readonly PanelData[]): number {
  const others = row.slice(0, -1).reduce((sum, each) => sum + usual(each), 0);
  return panel === row.at(-1) ? 12 - others : usual(panel);
}

export const board: View = { id: "dashboard", title: "", group: "", icon: "board", body: Board };
