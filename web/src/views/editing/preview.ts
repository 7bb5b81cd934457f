// What the panels of a draft show: data that is there already, else asked for.

import { useEffect, useState } from "preact/hooks";
import type { App } from "../../data/app";
import type { PanelData } from "../../data/board";
import type { PanelDefinition } from "../../data/draft";

type Known = Readonly<Record<string, PanelData>>;

/** Data for each panel, in their order; a panel whose query fails shows the fault in its place. */
export function usePreviews(app: App, panels: readonly PanelDefinition[], present: readonly PanelData[]): PanelData[] {
  const [asked, setAsked] = useState<Known>({});
  const held: Known = Object.fromEntries(present.map((each) => [key(each.panel_type, each.query), each]));
  const missing = [...new Set(panels.map(keyOf))].filter((each) => !held[each] && !asked[each]);
  useEffect(() => {
    for (const each of missing) void answer(app, each).then((data) => setAsked((known) => ({ ...known, [each]: data })));
  }, [missing.join("\n")]);
  return panels.map((panel) => over(panel, held[keyOf(panel)], asked[keyOf(panel)]));
}

const key = (type: string, query: string) => `${type}=${query}`;
const keyOf = (panel: PanelDefinition) => key(panel.panel_type, panel.data_query);

async function answer(app: App, each: string): Promise<PanelData> {
  const [type = ""] = each.split("=", 1);
  const query = each.slice(type.length + 1);
  const empty = { panel_id: "", panel_type: type, title: "", unit: "", query, scale: 1 };
  try {
    const { answers } = await app.api.get<{ answers: PanelData[] }>(`/dashboards/query?${new URLSearchParams({ [type]: query })}`);
    return answers[0] ?? { ...empty, kind: "value", value: null };
  } catch (error) {
    return { ...empty, kind: "fault", fault: (error as Error).message };
  }
}

/** The definition's words over the data; values that were asked for here are not scaled yet. */
function over(panel: PanelDefinition, held: PanelData | undefined, asked: PanelData | undefined): PanelData {
  const { panel_id, panel_type, title, unit, scale = 1, limit, width, description } = panel;
  const data = held ?? (asked ? scaled(asked, scale) : { kind: "value", value: null, query: panel.data_query, unit: "" });
  const words = { panel_id, panel_type, title: title ?? panel_id, unit: unit ?? data.unit, scale };
  return { ...(data as PanelData), ...words, ...given({ limit, width, description }) };
}

function given(members: Record<string, unknown>): Partial<PanelData> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function scaled(data: PanelData, scale: number): PanelData {
  if (scale === 1) return data;
  const times = (value: number | null) => (value === null ? null : value * scale);
  const series = data.series && Object.fromEntries(Object.entries(data.series).map(([name, values]) => [name, values.map(times)]));
  return { ...data, ...(data.value === undefined ? {} : { value: times(data.value) }), ...(series ? { series } : {}) };
}
