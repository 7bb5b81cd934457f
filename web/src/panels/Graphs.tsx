// Flow and network of a definition.

import { Sankey } from "../charts/Sankey";
import { Network } from "../charts/Network";
import type { PanelData } from "../data/board";

export function FlowPanel({ panel }: { panel: PanelData }) {
  const links = panel.links ?? [];
  if (!links.length) return <p class="panel-said">Nothing flows yet.</p>;
  return <Sankey label={panel.title} nodes={(panel.nodes ?? []).map(({ name }) => ({ name }))} links={links} />;
}

export function NetworkPanel({ panel }: { panel: PanelData }) {
  const nodes = panel.nodes ?? [];
  if (!nodes.length) return <p class="panel-said">No agent works with another yet.</p>;
  return <Network label={panel.title} nodes={nodes.map(({ name, value }) => ({ name, load: value ?? 0 }))} links={panel.links ?? []} />;
}
