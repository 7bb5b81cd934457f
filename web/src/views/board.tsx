// A dashboard from a definition: its panels in rows, each by its type; in the same place it is changed.

import { useEffect } from "preact/hooks";
import { useApp } from "../frame/context";
import { route, type View, writeAddress } from "../frame/view";
import type { BoardStore } from "../data/board";
import { Attention } from "../panels/Attention";
import { DefinedPanel, DefinedStat } from "../panels/Defined";
import { Editing } from "./editing/Editing";
import { rows, width } from "./rows";

function Named() {
  const { boot } = useApp();
  const { dashboard } = route.value;
  if (!boot.dashboards.some(([name]) => name === dashboard)) return <p class="panel-said">There is no dashboard {dashboard}. The rail has all of them.</p>;
  return <Board />;
}

/** Until a dashboard that could not be read is asked for again. */
const AGAIN_MS = 3000;

function Board() {
  const app = useApp();
  const board = app.board(route.value.dashboard);
  useEffect(() => void (app.booted.value && board.load()), [board, app.booted.value]);
  const failed = board.state.value === "failed";
  useEffect(() => {
    if (!failed || !board.again) return undefined;
    const again = setInterval(() => void board.load(), AGAIN_MS);
    return () => clearInterval(again);
  }, [board, failed]);
  if (failed) return <p class="panel-said">{board.error.value}</p>;
  if (route.value.query.has("edit")) return <Editing board={board} close={() => writeAddress({ edit: null })}><Panels board={board} /></Editing>;
  return (
    <>
      <Attention />
      {board.faults.value.map((fault) => (
        <p class="fault-box" role="alert" key={fault}>
          {fault}
        </p>
      ))}
      <Panels board={board} />
      <p class="edit-add">
        <button type="button" class="button acts" disabled={app.link.state.value !== "open"} onClick={() => writeAddress({ edit: "1" })}>Edit this dashboard</button>
      </p>
    </>
  );
}

function Panels({ board }: { board: BoardStore }) {
  return (
    <>
      {rows(board.panels.value).map((row, index) =>
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

export const board: View = { id: "dashboard", title: "", group: "", icon: "board", body: Named };
