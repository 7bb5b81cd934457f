// A dashboard from a definition: its panels in rows, each by its type; in the same place it is changed.

import { useEffect } from "preact/hooks";
import { useApp } from "../frame/context";
import { route, type View, writeAddress } from "../frame/view";
import type { BoardStore } from "../data/board";
import { Attention } from "../panels/Attention";
import { DefinedPanel, DefinedStat } from "../panels/Defined";
import { Editing } from "./editing/Editing";
import { rows, width } from "./rows";

function Board() {
  const app = useApp();
  const board = app.board(route.value.dashboard);
  useEffect(() => void (app.booted.value && board.load()), [board, app.booted.value]);
  if (board.state.value === "failed") return <p class="panel-said">{board.error.value}</p>;
  if (route.value.query.has("edit")) return <Editing board={board} close={() => writeAddress({ edit: null })} />;
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
        <button type="button" class="button" onClick={() => writeAddress({ edit: "1" })}>Edit this dashboard</button>
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

export const board: View = { id: "dashboard", title: "", group: "", icon: "board", body: Board };
