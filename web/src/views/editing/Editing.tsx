// A dashboard while it is changed: each panel with its handles, one bar to save, export and import.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useApp } from "../../frame/context";
import type { BoardStore, PanelData } from "../../data/board";
import { type Definition, freshId, moved, type PanelDefinition, placed, removed, resized } from "../../data/draft";
import { DefinedPanel, DefinedStat } from "../../panels/Defined";
import { rows, usual, width } from "../rows";
import { PanelForm } from "./PanelForm";
import { usePreviews } from "./preview";
import { Draft } from "./saving";

/** `children`: the dashboard as it is, until its definition is read. */
export function Editing({ board, close, children }: { board: BoardStore; close: () => void; children: ComponentChildren }) {
  const app = useApp();
  const draft = useMemo(() => new Draft(board.name, app.api), [board]);
  useEffect(() => void draft.read(), [draft]);
  const definition = draft.definition.value;
  const save = async () => {
    if (!(await draft.save())) return;
    await board.load();
    close();
  };
  return (
    <>
      <div class="edit-bar" role="group" aria-label="Editing">
        <span class="grow" role="status">{standing(draft)}</span>
        <a class="button" href={`/dashboards/${encodeURIComponent(board.name)}/definition`} download={`${board.name}.json`}>Export</a>
        <label class="button">
          Import
          <input type="file" class="sr" accept=".json,application/json" onChange={(event) => void imported(draft, event.currentTarget)} />
        </label>
        <button type="button" class="button" onClick={close}>Discard</button>
        <button type="button" class="button main" disabled={!draft.changed.value} onClick={() => void save()}>Save</button>
      </div>
      <div role="alert">
        {draft.said.value ? <p class="fault-box">{draft.said.value}</p> : null}
        {draft.faults.value.map((fault) => <p class="fault-box" key={fault}>{fault}</p>)}
      </div>
      {definition ? <Panels definition={definition} set={(next) => draft.set(next)} present={board.panels.value} /> : children}
    </>
  );
}

function standing(draft: Draft): string {
  if (!draft.definition.value) return draft.said.value ? "Its definition could not be read" : `Reading the definition ${draft.name}.json…`;
  return draft.changed.value ? "Not saved yet" : "Nothing changed";
}

async function imported(draft: Draft, input: HTMLInputElement): Promise<void> {
  const [file] = input.files ?? [];
  if (file) draft.import(await file.text());
  input.value = "";
}

interface PanelsProps {
  definition: Definition;
  set: (definition: Definition) => void;
  present: readonly PanelData[];
}

function Panels({ definition, set, present }: PanelsProps) {
  const app = useApp();
  const [open, setOpen] = useState<number | null>(null);
  const shown = usePreviews(app, definition.panels, present);
  const at = new Map(shown.map((panel, index) => [panel, index]));
  const handled = (panel: PanelData, row: readonly PanelData[]) => {
    const index = at.get(panel) ?? 0;
    return <Handled key={panel.panel_id} panel={panel} row={row} index={index} definition={definition} set={set} edit={() => setOpen(index)} />;
  };
  return (
    <>
      {rows(shown).map((row, index) => <div class={row[0]?.panel_type === "stat" ? "stats" : "row"} key={index}>{row.map((panel) => handled(panel, row))}</div>)}
      <p class="edit-add"><button type="button" class="button" onClick={() => setOpen(definition.panels.length)}>Add a panel</button></p>
      {open === null ? null : <Opened definition={definition} at={open} set={set} close={() => setOpen(null)} />}
    </>
  );
}

function Opened({ definition, at, set, close }: { definition: Definition; at: number; set: (definition: Definition) => void; close: () => void }) {
  const panel = definition.panels[at];
  const take = (next: PanelDefinition) => {
    set(placed(definition, at, panel ? next : { ...next, panel_id: freshId(definition, next.title ?? "") }));
    close();
  };
  return <PanelForm panel={panel ?? { panel_id: "", panel_type: "graph", data_query: "" }} title={panel ? `Edit ${panel.title ?? panel.panel_id}` : "Add a panel"} verb={panel ? "Apply" : "Add"} take={take} close={close} />;
}

interface HandledProps {
  panel: PanelData;
  row: readonly PanelData[];
  index: number;
  definition: Definition;
  set: (definition: Definition) => void;
  edit: () => void;
}

/** A panel with its handles; it can be dragged to the place of another, too. */
function Handled({ panel, row, index, definition, set, edit }: HandledProps) {
  const stat = panel.panel_type === "stat";
  const span = width(panel, row);
  const dropped = (event: DragEvent) => {
    event.preventDefault();
    set(moved(definition, Number(event.dataTransfer?.getData("text/plain")), index));
  };
  const handles: [name: string, sign: string, act: () => void, off?: boolean][] = [
    ["Move before", "←", () => set(moved(definition, index, index - 1)), index === 0],
    ["Move behind", "→", () => set(moved(definition, index, index + 1)), index === definition.panels.length - 1],
    ...(stat ? [] : ([["Narrower", "−", () => set(resized(definition, index, -1, usual(panel)))], ["Wider", "+", () => set(resized(definition, index, 1, usual(panel)))]] as [string, string, () => void][])),
    ["Edit", "Edit", edit],
    ["Remove", "Remove", () => set(removed(definition, index))],
  ];
  return (
    <div class="editable" data-editing={panel.panel_id} draggable style={stat ? {} : { gridColumn: `span ${span}` }} onDragStart={(event) => event.dataTransfer?.setData("text/plain", String(index))} onDragOver={(event) => event.preventDefault()} onDrop={dropped}>
      <div class="handles" role="group" aria-label={`${panel.title}: handles`}>
        {handles.map(([name, sign, act, off = false]) => (
          <button type="button" class="chip" key={name} aria-label={`${name}: ${panel.title}`} title={name} disabled={off} onClick={act}>{sign}</button>
        ))}
      </div>
      {stat ? <DefinedStat panel={panel} /> : <DefinedPanel panel={panel} span={span} />}
    </div>
  );
}
