// What was and what is expected: the past as a line, the median dashed, a band around it, a limit with the day that it is reached.

import { useState } from "preact/hooks";
import { apart, gridlines, niceTop, timePlace } from "./scale";
import { useWidth } from "./room";
import { axisText } from "./LineChart";
import { ticks, tickText } from "../format/time";

export interface Expected {
  at: number;
  value: number;
  lower: number | null;
  upper: number | null;
}

interface Props {
  title: string;
  past: readonly (readonly [at: number, value: number])[];
  ahead: readonly Expected[];
  from: number;
  to: number;
  /** Another period, thin, on the same axis. */
  other?: { name: string; points: readonly (readonly [number, number])[] };
  limit?: { name: string; value: number };
  /** Where the limit is reached, in one or two lines. */
  crossing?: { at: number; words: string; more: string } | null;
  /** Words at the upright of now; empty: it is a time that is over, and no upright is drawn. */
  now: string;
  endName: string;
  show: (value: number) => string;
  height?: number;
  fill?: boolean;
  /** The words of now stand on top instead of beside the line. */
  nowOnTop?: boolean;
}

const LEFT = 44;
const RIGHT = 76;
const TOP = 14;
const BOTTOM = 24;

export function BandChart(props: Props) {
  const { title, past, ahead, height = 300 } = props;
  const [host, width] = useWidth<HTMLDivElement>();
  const [over, setOver] = useState<number | null>(null);
  const last = past.at(-1);
  const all = [...past, ...ahead.map((each) => [each.at, each.value] as const)];
  const words = over === null ? `${title}: now ${props.show(last?.[1] ?? 0)}${ahead.length ? `, expected ${props.show(ahead.at(-1)?.value ?? 0)}` : ""}` : `${tickText(all[over]?.[0] ?? 0, props.to - props.from)}: ${props.show(all[over]?.[1] ?? 0)}`;
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape" && over !== null) setOver(null);
    else if (step && all.length) setOver(Math.max(0, Math.min(all.length - 1, (over ?? past.length - 1) + step * (event.shiftKey ? 10 : 1))));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const moved = (event: PointerEvent) => {
    const x = event.clientX - (event.currentTarget as HTMLElement).getBoundingClientRect().left;
    const at = props.from + ((x - LEFT) / (width - LEFT - RIGHT)) * (props.to - props.from);
    setOver(x < LEFT || x > width - RIGHT || !all.length ? null : all.reduce((best, each, index) => (Math.abs(each[0] - at) < Math.abs((all[best] as readonly [number, number])[0] - at) ? index : best), 0));
  };
  return (
    <>
      <div ref={host} class="band-chart" style={{ height: `${height}px` }} role="img" aria-label={words} tabIndex={0} onKeyDown={pressed} onPointerMove={moved} onPointerLeave={() => setOver(null)}>
        {width > 160 ? <Drawing {...props} width={width} height={height} over={over === null ? null : (all[over] ?? null)} /> : null}
      </div>
      <p class="sr" role="status">{over === null ? "" : words}</p>
    </>
  );
}

type Scale = (value: number) => number;

function Drawing({ past, ahead, from, to, other, limit, crossing, now, endName, show, width, height, fill, nowOnTop, over }: Props & { width: number; height: number; over: readonly [number, number] | null }) {
  const seen = Math.max(0, ...past.map(([, value]) => value), ...ahead.map((each) => each.upper ?? each.value), ...(other?.points.map(([, value]) => value) ?? []));
  const top = niceTop(limit && limit.value < seen * 2 ? Math.max(seen, limit.value) : seen);
  const [right, base] = [width - RIGHT, height - BOTTOM];
  const x: Scale = (at) => timePlace(at, from, to, LEFT, right);
  const y: Scale = (value) => base - (value / top) * (base - TOP);
  const line = (points: readonly (readonly [number, number])[]) => points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const last = past.at(-1);
  const begin: readonly Expected[] = last ? [{ at: last[0], value: last[1], lower: last[1], upper: last[1] }, ...ahead] : ahead;
  const banded = begin.filter((each) => each.lower !== null && each.upper !== null);
  return (
    <svg class="picture expected" width={width} height={height} aria-hidden="true">
      <Axes top={top} from={from} to={to} x={x} y={y} right={right} base={base} />
      {fill && last ? <path class="area" d={`${line(past)}L${x(last[0])} ${base}L${x(past[0]?.[0] ?? from)} ${base}Z`} /> : null}
      {banded.length > 1 ? <path class="band" d={`${line(banded.map((each) => [each.at, each.upper as number]))}${line([...banded].reverse().map((each) => [each.at, each.lower as number])).replace("M", "L")}Z`} /> : null}
      {other ? <path class="other" d={line(other.points)} /> : null}
      {limit && limit.value <= top ? <Limit at={y(limit.value)} name={limit.name} right={right} near={seen >= limit.value * 0.9} /> : null}
      <path class="past" d={line(past)} />
      {ahead.length ? <path class="median" d={line(begin.map((each) => [each.at, each.value]))} /> : null}
      {begin.length === 1 && begin[0] ? <circle class="dot" cx={x(begin[0].at)} cy={y(begin[0].value)} r="3" /> : null}
      {last && now ? <Now x={x(last[0])} y={y(last[1])} words={now} base={base} onTop={nowOnTop ?? false} /> : null}
      {crossing && limit ? <Crossing x={x(crossing.at)} y={y(limit.value)} above={Math.min(y(limit.value) - 30, last && crossing.at < to && Math.abs(x(crossing.at) - x(last[0])) < 170 ? y(last[1]) - 42 : base)} words={crossing.words} more={crossing.more} base={base} /> : null}
      <Names right={right} base={base} ends={[...(ahead.length ? [{ name: endName, value: ahead.at(-1)?.value ?? 0, tone: "accent" }] : last ? [{ name: now ? "now" : endName, value: last[1], tone: "accent" }] : []), ...(other?.points.length ? [{ name: other.name, value: other.points.at(-1)?.[1] ?? 0, tone: "" }] : [])]} y={y} show={show} />
      {over ? (
        <g>
          <line class="upright" x1={x(over[0])} x2={x(over[0])} y1={TOP} y2={base} />
          <text class="at" x={Math.min(right - 4, x(over[0]) + 6)} y={TOP + 8} text-anchor={x(over[0]) > right - 90 ? "end" : "start"}>{tickText(over[0], to - from)}, {show(over[1])}</text>
        </g>
      ) : null}
    </svg>
  );
}

function Axes({ top, from, to, x, y, right, base }: { top: number; from: number; to: number; x: Scale; y: Scale; right: number; base: number }) {
  const lines = gridlines(top);
  const most = Math.max(2, Math.floor((right - LEFT) / 52));
  return (
    <>
      {lines.map((value, index) => (
        <g key={value}>
          <line class="grid" x1={LEFT} x2={right} y1={Math.round(y(value)) + 0.5} y2={Math.round(y(value)) + 0.5} />
          <text x="0" y={y(value) + 4}>{axisText(value, top, "", index === lines.length - 1)}</text>
        </g>
      ))}
      {ticks(from, to, most).filter((at) => to - at > (to - from) * 0.03).map((at) => (
        <text key={at} x={x(at)} y={base + 17} text-anchor="middle">{tickText(at, to - from)}</text>
      ))}
    </>
  );
}

function Limit({ at, name, right, near }: { at: number; name: string; right: number; near: boolean }) {
  return (
    <g class={near ? "limit near" : "limit"}>
      <line x1={LEFT} x2={right} y1={at} y2={at} />
      <text x={LEFT + 8} y={at - 5}>{name}</text>
    </g>
  );
}

function Now({ x, y, words, base, onTop }: { x: number; y: number; words: string; base: number; onTop: boolean }) {
  const left = x > 170;
  return (
    <g>
      <line class="now" x1={x} x2={x} y1={TOP} y2={base} />
      <circle class="dot" cx={x} cy={y} r="3" />
      <text class="strong" x={left ? x - 9 : x + 9} y={onTop ? TOP + 4 : y - 10} text-anchor={left ? "end" : "start"}>{words}</text>
    </g>
  );
}

function Crossing({ x, y, above, words, more, base }: { x: number; y: number; above: number; words: string; more: string; base: number }) {
  const left = x > 220;
  return (
    <g class="crossing">
      <line x1={x} x2={x} y1={TOP} y2={base} />
      <circle cx={x} cy={y} r="4" />
      <text class="strong" x={left ? x - 12 : x + 12} y={Math.max(TOP + 8, above)} text-anchor={left ? "end" : "start"}>
        {words}
        <tspan class="more" x={left ? x - 12 : x + 12} dy="15">{more}</tspan>
      </text>
    </g>
  );
}

function Names({ right, base, ends, y, show }: { right: number; base: number; ends: { name: string; value: number; tone: string }[]; y: Scale; show: (value: number) => string }) {
  const places = apart(ends.map((end) => y(end.value) - 14), 28, base + 14);
  return (
    <>
      {ends.map((end, index) => (
        <text key={end.name} x={right + 10} y={(places[index] as number) + 10} class={end.tone}>
          {end.name}
          <tspan class="value" x={right + 10} dy="14">{show(end.value)}</tspan>
        </text>
      ))}
    </>
  );
}
