// A definition while it is changed: plain functions from one to the next, none touches what it was given.

export interface PanelDefinition {
  panel_id: string;
  panel_type: string;
  data_query: string;
  title?: string;
  unit?: string;
  scale?: number;
  limit?: number;
  description?: string;
  width?: number;
  refresh_interval?: number;
}

export interface Definition {
  panels: readonly PanelDefinition[];
  [other: string]: unknown;
}

export const LEAST_WIDTH = 2;
export const MOST_WIDTH = 12;

/** Understand a text. Raises an error that says what is wrong. */
export function understood(text: string): Definition {
  const read: unknown = JSON.parse(text);
  if (typeof read !== "object" || read === null || Array.isArray(read)) throw new Error("a definition is a JSON object");
  const panels = (read as Record<string, unknown>)["panels"] ?? [];
  if (!Array.isArray(panels)) throw new Error("panels is a list");
  return { ...read, panels: panels as PanelDefinition[] };
}

/** As it is saved: a person can read it, and a fault has a line of its own. */
export function written(definition: Definition): string {
  return `${JSON.stringify(definition, null, 2)}\n`;
}

/** The panel at `from` stands at `to` afterwards. */
export function moved(definition: Definition, from: number, to: number): Definition {
  const panels = [...definition.panels];
  const [panel] = panels.splice(from, 1);
  if (panel) panels.splice(Math.max(0, Math.min(panels.length, to)), 0, panel);
  return { ...definition, panels };
}

export function removed(definition: Definition, at: number): Definition {
  return { ...definition, panels: definition.panels.filter((_, index) => index !== at) };
}

/** Put a panel in the place of another, or behind the last. */
export function placed(definition: Definition, at: number, panel: PanelDefinition): Definition {
  const panels = [...definition.panels];
  panels[Math.min(at, panels.length)] = panel;
  return { ...definition, panels };
}

/** `by` columns wider; `now` is what it takes without a width of its own. */
export function resized(definition: Definition, at: number, by: number, now: number): Definition {
  const panel = definition.panels[at];
  if (!panel) return definition;
  const width = Math.max(LEAST_WIDTH, Math.min(MOST_WIDTH, (panel.width ?? now) + by));
  return placed(definition, at, { ...panel, width });
}

/** An id that no panel has, made of a title. */
export function freshId(definition: Definition, title: string): string {
  const base = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "") || "panel";
  const taken = new Set(definition.panels.map((panel) => panel.panel_id));
  let id = base;
  for (let number = 2; taken.has(id); number += 1) id = `${base}_${number}`;
  return id;
}
