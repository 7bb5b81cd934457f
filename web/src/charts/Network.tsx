// Who works with whom: circle = agent, figure = open tasks, ring = share of capacity, line = hand-offs. It stays where it is.

import { useMemo, useRef } from "preact/hooks";
import { exact, shortText } from "../format/number";
import { arranged } from "./places";
import { useWidth } from "./room";

export interface NetworkNode {
  name: string;
  /** Open tasks; null: not known. */
  load: number | null;
  capacity?: number | null;
  state?: "" | "warn" | "crit";
}

export interface NetworkLink {
  source: string;
  target: string;
  value: number;
}

interface Props {
  label: string;
  nodes: readonly NetworkNode[];
  links: readonly NetworkLink[];
  selected?: string | null;
  pick?: (name: string) => void;
  height?: number;
}

const KEY = "hxp.places.3";
/** Room beside an agent at the edge (px), and the letters of a name that fit between two of them. */
const ASIDE = 70;
const LETTERS = 20;

export function Network({ label, nodes, links, selected = null, pick, height = 420 }: Props) {
  const [host, width] = useWidth<HTMLDivElement>();
  const places = useRef(remembered());
  const names = nodes.map((node) => node.name).sort();
  useMemo(() => {
    places.current = arranged(names, links, places.current);
    remember(places.current);
  }, [names.join("\n")]);
  const lit = (link: NetworkLink): boolean => link.source === selected || link.target === selected;
  const most = Math.max(1, ...both(links).map((link) => link.value));
  const at = (name: string): [number, number] => {
    const [x, y] = places.current.get(name) ?? [0, 0];
    return [width / 2 + x * (width / 2 - ASIDE), height / 2 - 8 + y * (height / 2 - 52)];
  };
  const joined = both(links).filter((link) => places.current.has(link.source) && places.current.has(link.target));
  return (
    <div ref={host} style={{ height: `${height}px` }} role="group" aria-label={`${label}: ${nodes.length} nodes, ${joined.length} lines`}>
      {width > 100 ? (
        <svg width={width} height={height} class="network">
          {[...joined].sort((left, right) => Number(lit(left)) - Number(lit(right))).map((link) => <Line key={`${link.source} ${link.target}`} link={link} from={at(link.source)} to={at(link.target)} most={most} lit={lit(link)} />)}
          {joined.filter(lit).map((link) => <Count key={`${link.source} ${link.target}`} link={link} from={at(link.source === selected ? link.target : link.source)} to={at(selected as string)} circles={names.map(at)} />)}
          {nodes.map((node) => <Circle key={node.name} node={node} at={at(node.name)} selected={node.name === selected} pick={pick} />)}
        </svg>
      ) : null}
    </div>
  );
}

/** One line for two who work together, whichever way; the names in the order of the alphabet. */
function both(links: readonly NetworkLink[]): NetworkLink[] {
  const pairs = new Map<string, NetworkLink>();
  for (const { source, target, value } of links) {
    if (source === target) continue;
    const [first, second] = source < target ? [source, target] : [target, source];
    const key = `${first}\n${second}`;
    pairs.set(key, { source: first, target: second, value: value + (pairs.get(key)?.value ?? 0) });
  }
  return [...pairs.values()];
}

function Line({ link, from, to, most, lit }: { link: NetworkLink; from: [number, number]; to: [number, number]; most: number; lit: boolean }) {
  const [x, y] = bend(from, to);
  return (
    <g class={lit ? "line lit" : "line"}>
      <path d={`M${from[0]} ${from[1]}Q${x} ${y} ${to[0]} ${to[1]}`} stroke-width={1 + 6 * (link.value / most)} fill="none" />
    </g>
  );
}

/** The point that a line bends towards; the same for both directions. */
function bend(from: readonly [number, number], to: readonly [number, number]): [number, number] {
  const turn = from[0] < to[0] || (from[0] === to[0] && from[1] < to[1]) ? 0.08 : -0.08;
  return [(from[0] + to[0]) / 2 - (to[1] - from[1]) * turn, (from[1] + to[1]) / 2 + (to[0] - from[0]) * turn];
}

/** Places along a line for its count, the best first. */
const PARTS = [0.36, 0.44, 0.52, 0.6, 0.28, 0.68] as const;

/** Whether a count at a place lies over a circle, or over the name below it. */
function covers([x, y]: readonly [number, number], [left, top]: readonly [number, number]): boolean {
  const [aside, below] = [Math.abs(x - left), y - top];
  return (aside < 34 && Math.abs(below) < 28) || (aside < 52 && below > 16 && below < 46);
}

/** The count on a line of the selected one, nearer to the other end: there the lines have gone apart. */
function Count({ link, from, to, circles }: { link: NetworkLink; from: [number, number]; to: [number, number]; circles: readonly (readonly [number, number])[] }) {
  const middle = bend(from, to);
  const place = (part: number): [number, number] => [0, 1].map((index) => (1 - part) ** 2 * (from[index] as number) + 2 * (1 - part) * part * (middle[index] as number) + part ** 2 * (to[index] as number)) as [number, number];
  const free = PARTS.find((part) => circles.every((circle) => !covers(place(part), circle)));
  // Where there is no room the table has the count.
  if (free === undefined) return null;
  const [x, y] = place(free);
  return (
    <text class="count" x={x} y={y + 4} text-anchor="middle">
      {shortText(link.value)}
    </text>
  );
}

function Circle({ node, at, selected, pick }: { node: NetworkNode; at: [number, number]; selected: boolean; pick: ((name: string) => void) | undefined }) {
  const radius = 13 + Math.min(9, Math.sqrt(node.load ?? 0) * 3);
  const round = 2 * Math.PI * radius;
  const share = node.capacity && node.load !== null ? Math.min(1, node.load / node.capacity) : 0;
  const words = node.load === null ? node.name : `${node.name}, ${exact(node.load)} open${node.capacity ? ` of ${exact(node.capacity)}` : ""}`;
  return (
    <g class={`node ${selected ? "selected" : ""} ${node.state ?? ""}`} transform={`translate(${at[0]} ${at[1]})`} data-row={node.name}
      {...(pick ? { role: "button", tabIndex: 0, "aria-pressed": selected, onClick: () => pick(node.name), onKeyDown: (event: KeyboardEvent) => event.key === "Enter" && pick(node.name) } : {})}>
      <title>{words}</title>
      <circle r={radius} class="disc" />
      <circle r={radius} class="ring" stroke-dasharray={`${share * round} ${round}`} transform="rotate(-90)" />
      <text class="load" text-anchor="middle" dy="4">
        {node.load === null ? "" : exact(node.load)}
      </text>
      <text class="who" text-anchor="middle" y={radius + 16}>
        {lettered(node.name)}
      </text>
    </g>
  );
}

/** A name that fits below its circle; the whole one is under the pointer and in the table. */
export function lettered(name: string): string {
  return name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name;
}

function remembered(): Map<string, [number, number]> {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]") as [string, [number, number]][];
    return new Map(kept.filter(([name, place]) => typeof name === "string" && Array.isArray(place) && place.every(Number.isFinite)));
  } catch {
    return new Map();
  }
}

function remember(places: ReadonlyMap<string, readonly [number, number]>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify([...places].slice(0, 200)));
  } catch {
    // The next visit arranges them anew.
  }
}
