// What flows where. Three meanings only: answered (blue), goes on (grey), nothing found (amber). The order is fixed.

import { sankey, sankeyLinkHorizontal } from "d3-sankey";
import { measure, useWidth } from "./room";
import { exact } from "../format/number";

export interface FlowNode {
  name: string;
  /** Beside the name: a latency, a share. */
  note?: string;
}

export interface FlowLink {
  source: string;
  target: string;
  value: number;
  kind?: "answered" | "on" | "nothing";
  /** 0.4 to 1: the faster the tier, the stronger. */
  strength?: number;
}

type Node = FlowNode & { index?: number };
type Link = { source: number; target: number; value: number; from: FlowLink };

export function Sankey({ label, nodes, links, height = 300 }: { label: string; nodes: readonly FlowNode[]; links: readonly FlowLink[]; height?: number }) {
  const [host, width] = useWidth<HTMLDivElement>();
  // The layout cannot lay out nothing.
  const graph = width > 200 && nodes.length ? laidOut(nodes, links, width, height) : null;
  return (
    <div ref={host} style={{ height: `${height}px` }} role="img" aria-label={`${label}: ${links.map((link) => `${link.source} to ${link.target} ${exact(link.value)}`).join(", ")}`}>
      {graph ? (
        <svg width={width} height={height} class="sankey" aria-hidden="true">
          {graph.links.map((link, index) => (
            <path key={index} d={path(link) ?? ""} fill="none" stroke-width={Math.max(1, link.width ?? 1)} class={`flow-${link.from.kind ?? "on"}`} style={{ strokeOpacity: link.from.kind === "answered" ? (link.from.strength ?? 0.8) * 0.75 : undefined }} />
          ))}
          {graph.nodes.map((node) => <Block key={node.name} node={node} brief={width < NARROW} />)}
        </svg>
      ) : null}
    </div>
  );
}

const LEAST = 60;
/** Below it the ends have their names only; the table has the figures. */
const NARROW = 480;
const path = sankeyLinkHorizontal<Node, Link>();

function laidOut(nodes: readonly FlowNode[], links: readonly FlowLink[], width: number, height: number) {
  const places = new Map(nodes.map((node, index) => [node.name, index]));
  const usable = acyclic(links.filter((link) => link.value > 0 && places.has(link.source) && places.has(link.target)), places);
  const room = rooms(nodes, usable, width);
  const layout = sankey<Node, Link>().nodeWidth(5).nodePadding(usable.some((link) => usable.some((other) => other.source === link.target)) ? 24 : 16).nodeSort(null).linkSort(null).extent([[room.left, 20], [width - room.right, height - 10]]);
  return layout({ nodes: nodes.map((node) => ({ ...node })), links: usable.map((link) => ({ source: places.get(link.source) as number, target: places.get(link.target) as number, value: link.value, from: link })) });
}

/** As much room at the sides as the words there need, at most a third each. */
function rooms(nodes: readonly FlowNode[], links: readonly FlowLink[], width: number): { left: number; right: number } {
  const wide = measure();
  const room = (ends: readonly FlowNode[]) => Math.min(width * 0.36, Math.max(LEAST, ...ends.map((node) => wide(width < NARROW ? node.name : `${node.name} ${node.note ?? "000.0 k"}`) + 24)));
  return { left: room(nodes.filter((node) => !links.some((link) => link.target === node.name))), right: room(nodes.filter((node) => !links.some((link) => link.source === node.name))) };
}

/** A flow goes forwards only: what would close a circle is left out, the layout cannot draw it. */
function acyclic(links: readonly FlowLink[], places: Map<string, number>): FlowLink[] {
  const kept: FlowLink[] = [];
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    from === to || (!seen.has(from) && (seen.add(from), kept.some((link) => link.source === from && reaches(link.target, to, seen))));
  for (const link of links) if (places.has(link.source) && !reaches(link.target, link.source)) kept.push(link);
  return kept;
}

function Block({ node, brief }: { node: Node & { x0?: number; x1?: number; y0?: number; y1?: number; value?: number; depth?: number; sourceLinks?: unknown[] }; brief: boolean }) {
  const { x0 = 0, x1 = 0, y0 = 0, y1 = 0 } = node;
  const left = node.depth === 0;
  const middle = (y0 + y1) / 2;
  const beside = left ? x0 - 8 : x1 + 8;
  const inside = !left && (node.sourceLinks?.length ?? 0) > 0;
  const note = brief ? "" : (node.note ?? exact(node.value ?? 0));
  return (
    <g>
      <rect x={x0} y={y0} width={x1 - x0} height={Math.max(1, y1 - y0)} class="block" />
      {inside || left || y1 - y0 < 28 ? (
        <text x={inside ? x0 : beside} y={inside ? y0 - 5 : middle + 4} text-anchor={left ? "end" : "start"}>
          <tspan class="strong">{node.name}</tspan>
          <tspan dx="6">{note}</tspan>
        </text>
      ) : (
        <text x={beside} y={middle - 2}>
          <tspan class="strong">{node.name}</tspan>
          <tspan x={beside} dy="15">
            {note}
          </tspan>
        </text>
      )}
    </g>
  );
}
