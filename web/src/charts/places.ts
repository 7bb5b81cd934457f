// Where the nodes of a network stand: places are kept between updates and visits; only newcomers and their neighbours give way.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type SimulationLinkDatum, type SimulationNodeDatum } from "d3-force";

export interface Placed extends SimulationNodeDatum {
  name: string;
  x: number;
  y: number;
}

type Edge = SimulationLinkDatum<Placed> & { value: number };

/** Places within a box of -1 to 1, by name. `kept` is what was known before. */
export function arranged(names: readonly string[], edges: readonly { source: string; target: string; value: number }[], kept: ReadonlyMap<string, readonly [number, number]>): Map<string, [number, number]> {
  const newcomers = names.filter((name) => !kept.has(name));
  if (!newcomers.length) return new Map(names.map((name) => [name, [...(kept.get(name) as readonly [number, number])]]));
  const nodes = names.map((name, index) => node(name, index, names.length, edges, kept));
  const moving = new Set(newcomers.length > names.length / 2 ? names : [...newcomers, ...edges.filter((edge) => newcomers.includes(edge.source)).map((edge) => edge.target)]);
  for (const each of nodes) if (!moving.has(each.name)) [each.fx, each.fy] = [each.x, each.y];
  const known = new Set(names);
  const links: Edge[] = edges.filter((edge) => known.has(edge.source) && known.has(edge.target) && edge.source !== edge.target).map((edge) => ({ ...edge }));
  const most = Math.max(1, ...links.map((each) => each.value));
  const weight = weights(names, links);
  forceSimulation(nodes)
    .force("link", forceLink<Placed, Edge>(links).id((each) => each.name).distance(150).strength((each) => 0.08 + 0.25 * (each.value / most)))
    .force("charge", forceManyBody().strength(-1400))
    .force("collide", forceCollide(64))
    .force("x", forceX<Placed>(0).strength((each) => 0.05 + 0.5 * (weight.get(each.name) ?? 0)))
    .force("y", forceY<Placed>(0).strength((each) => 0.07 + 0.5 * (weight.get(each.name) ?? 0)))
    .stop()
    .tick(300);
  return fitted(nodes, moving.size === names.length);
}

/** How much of the work goes through each, against the one through which most goes: that one stands in the middle, alone. */
function weights(names: readonly string[], edges: readonly Edge[]): Map<string, number> {
  const sums = new Map(names.map((name) => [name, edges.filter((edge) => edge.source === name || edge.target === name).reduce((sum, edge) => sum + edge.value, 0)]));
  const most = Math.max(1, ...sums.values());
  return new Map([...sums].map(([name, sum]) => [name, (sum / most) ** 8]));
}

/** A newcomer begins near its partners, the first of all on a circle: the same names stand at the same places each time. */
function node(name: string, index: number, count: number, edges: readonly { source: string; target: string }[], kept: ReadonlyMap<string, readonly [number, number]>): Placed {
  const own = kept.get(name);
  if (own) return { name, x: own[0] * 250, y: own[1] * 250 };
  const partners = edges.flatMap((edge) => (edge.source === name ? [edge.target] : edge.target === name ? [edge.source] : [])).map((each) => kept.get(each)).filter((each) => each !== undefined);
  const angle = (index / count) * Math.PI * 2;
  if (!partners.length) return { name, x: Math.cos(angle) * 150, y: Math.sin(angle) * 150 };
  const sum = partners.reduce<[number, number]>(([x, y], place) => [x + place[0], y + place[1]], [0, 0]);
  return { name, x: (sum[0] / partners.length) * 250 + Math.cos(angle) * 30, y: (sum[1] / partners.length) * 250 + Math.sin(angle) * 30 };
}

/** Where two stand who are alone: far enough apart for their names on a phone. */
const PAIR = 0.62;

/** What was arranged as a whole fills the box; what joined others stays at their scale. */
function fitted(nodes: readonly Placed[], whole: boolean): Map<string, [number, number]> {
  if (whole && nodes.length === 2) return new Map(nodes.map((each, index) => [each.name, [index ? PAIR : -PAIR, 0]]));
  if (!whole || nodes.length < 3) return new Map(nodes.map((each) => [each.name, [bounded(each.x / 250), bounded(each.y / 250)]]));
  const [x, y] = [stretched(nodes.map((each) => each.x)), stretched(nodes.map((each) => each.y))];
  return new Map(nodes.map((each) => [each.name, [x(each.x), y(each.y)]]));
}

function stretched(values: readonly number[]): (value: number) => number {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return (value) => (most > least ? ((value - least) / (most - least)) * 2 - 1 : 0);
}

function bounded(value: number): number {
  return Math.max(-1, Math.min(1, value));
}
