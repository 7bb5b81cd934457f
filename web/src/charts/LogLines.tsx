// A few series of hours on a log scale: what is a few milliseconds here and hundreds there is seen side by side.

import { useState } from "preact/hooks";
import { apart, timePlace } from "./scale";
import { useWidth } from "./room";
import { exact, NONE, significant } from "../format/number";
import { tickText, ticks } from "../format/time";
import type { Token } from "../theme/theme";

export interface HourLine {
  name: string;
  colour: Token;
  points: readonly (readonly [at: number, value: number])[];
}

interface Props {
  title: string;
  unit: string;
  lines: readonly HourLine[];
  from: number;
  to: number;
  height?: number;
}

const LEFT = 44;
const RIGHT = 84;
const TOP = 8;
const BOTTOM = 22;

export function LogLines(props: Props) {
  const { title, unit, lines, height = 190 } = props;
  const [host, width] = useWidth<HTMLDivElement>();
  const [over, setOver] = useState<number | null>(null);
  const times = [...new Set(lines.flatMap((line) => line.points.map(([at]) => at)))].sort((left, right) => left - right);
  const at = over === null ? null : (times[over] ?? null);
  const shown = lines.map((line) => ({ ...line, value: (at === null ? line.points.at(-1) : line.points.find(([when]) => when === at))?.[1] ?? null }));
  const words = `${at === null ? title : tickText(at, props.to - props.from)}: ${shown.map((line) => `${line.name} ${significant(line.value)} ${unit}`).join(", ")}`;
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape" && over !== null) setOver(null);
    else if (step && times.length) setOver(Math.max(0, Math.min(times.length - 1, (over ?? times.length - 1) + step)));
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <div ref={host} class="band-chart" style={{ height: `${height}px` }} role="img" aria-label={words} tabIndex={0} onKeyDown={pressed}>
        {width > 160 ? <Drawing {...props} lines={shown} height={height} width={width} at={at} /> : null}
      </div>
      <p class="sr" role="status">{over === null ? "" : words}</p>
    </>
  );
}

function Drawing({ lines, from, to, width, height, at }: Omit<Props, "lines"> & { lines: readonly (HourLine & { value: number | null })[]; width: number; height: number; at: number | null }) {
  const values = lines.flatMap((line) => line.points.map(([, value]) => value)).filter((value) => value > 0);
  const [least, most] = [Math.floor(Math.log10(Math.min(10, ...values))), Math.ceil(Math.log10(Math.max(10, ...values)))];
  const [right, base] = [width - RIGHT, height - BOTTOM];
  const x = (when: number) => timePlace(when, from, to, LEFT, right);
  const y = (value: number) => base - ((Math.log10(Math.max(value, 10 ** least)) - least) / (most - least || 1)) * (base - TOP);
  const places = apart(lines.map((line) => (line.value === null ? base : y(line.value)) - 14), 28, height);
  return (
    <svg class="picture expected" width={width} height={height} aria-hidden="true">
      {Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index)).map((value, index) => (
        <g key={value}>
          <line class="grid" x1={LEFT} x2={right} y1={y(value)} y2={y(value)} />
          <text x="0" y={y(value) + 4}>{exact(value, Math.max(0, -least - index))}</text>
        </g>
      ))}
      {ticks(from, to, 4).filter((when) => x(when) < right - 20).map((when) => <text key={when} x={x(when)} y={height - 6} text-anchor="middle">{tickText(when, to - from)}</text>)}
      {lines.map((line) => (line.points.length > 1 ? <path key={line.name} d={line.points.map(([when, value], index) => `${index ? "L" : "M"}${x(when).toFixed(1)} ${y(value).toFixed(1)}`).join("")} style={{ stroke: `var(--${line.colour})`, fill: "none", strokeWidth: 1.5 }} /> : line.points.map(([when, value]) => <circle key={line.name} cx={x(when)} cy={y(value)} r="2.5" style={{ fill: `var(--${line.colour})` }} />)))}
      {at === null ? null : <line class="upright" x1={x(at)} x2={x(at)} y1={TOP} y2={base} />}
      {lines.map((line, index) => (
        <text key={line.name} x={right + 10} y={(places[index] as number) + 10}>
          {line.name}
          <tspan class="value" x={right + 10} dy="14">{line.value === null ? NONE : significant(line.value)}</tspan>
        </text>
      ))}
    </svg>
  );
}
