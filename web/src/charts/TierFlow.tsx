// Where reads are answered. Answered reads run straight out in blue, what goes on is grey, what finds nothing amber.

import { cascade, type Bar, type CascadeTier, type Drawn, NOTHING, type Ribbon, type Step, THICK } from "./cascade";
import { apart } from "./scale";
import { useWidth } from "./room";
import { exact, percent } from "../format/number";

interface Props {
  label: string;
  tiers: readonly (CascadeTier & { note: string })[];
  steps: readonly Step[];
  reads: number;
  height?: number;
}

const TOP = 44;
const LABEL = 30;
/** Names where there is no room. */
const SHORT: Record<string, string> = { PostgreSQL: "PgSQL", ChromaDB: "Chroma" };

export function TierFlow({ label, tiers, steps, reads, height = 310 }: Props) {
  const [host, width] = useWidth<HTMLDivElement>();
  const narrow = width < 480;
  const box = { left: narrow ? 0 : 72, right: width - (narrow ? 96 : 132), top: TOP, height: height - TOP - 14 };
  const drawn = width > 200 && reads ? cascade(tiers, steps, box) : null;
  const words = tiers.map((tier) => `${tier.name} ${exact(tier.answered)}`).join(", ");
  return (
    <div ref={host} style={{ height: `${height}px` }} role="img" aria-label={`${label}: of ${exact(reads)} reads ${words}`}>
      {drawn ? (
        <svg width={width} height={height} class="sankey" aria-hidden="true">
          {drawn.tiers.filter((bar) => bar.y > TOP + 2).map((bar) => <line key={bar.name} x1={bar.x + 0.5} x2={bar.x + 0.5} y1={TOP - 8} y2={bar.y} class="guide" />)}
          {drawn.ribbons.map((ribbon) => <Band key={`${ribbon.from} ${ribbon.to}`} of={ribbon} />)}
          {[drawn.begin, ...drawn.tiers, ...drawn.ends].map((bar, index) => <rect key={index} x={bar.x - (index ? 0 : THICK)} y={bar.y} width={THICK} height={bar.height} class={bar.name === NOTHING ? "block nothing" : index > drawn.tiers.length ? "block end" : "block"} />)}
          <Heads drawn={drawn} tiers={tiers} reads={reads} narrow={narrow} />
          {drawn.ribbons.filter((ribbon) => ribbon.kind === "on" && ribbon.from !== "reads" && ribbon.width > 16 && !narrow).map((ribbon) => (
            <text key={`${ribbon.from} goes on`} x={ribbon.x0 + 16} y={ribbon.y0 + 4}>
              {exact(ribbon.value)} go on
            </text>
          ))}
          <Ends ends={drawn.ends} drawn={drawn} reads={reads} bottom={height} narrow={narrow} />
        </svg>
      ) : null}
    </div>
  );
}

function Band({ of: { kind, strength, x0, y0, x1, y1, width } }: { of: Ribbon }) {
  const from = x0 + (kind === "on" && x0 < 80 ? 0 : THICK);
  const middle = (from + x1) / 2;
  return <path d={`M${from} ${y0}C${middle} ${y0} ${middle} ${y1} ${x1} ${y1}`} fill="none" stroke-width={Math.max(1, width)} class={`flow-${kind}`} style={{ strokeOpacity: kind === "answered" ? strength * 0.62 : undefined }} />;
}

function Heads({ drawn, tiers, reads, narrow }: { drawn: Drawn; tiers: Props["tiers"]; reads: number; narrow: boolean }) {
  const nothing = drawn.ends.at(-1)?.name === NOTHING ? drawn.ribbons.filter((ribbon) => ribbon.kind === "nothing").reduce((all, ribbon) => all + ribbon.value, 0) : 0;
  const right = drawn.ends[0]?.x ?? 0;
  return (
    <>
      <Head x={narrow ? 0 : drawn.begin.x - 72} name="Reads" note={exact(reads)} />
      {drawn.tiers.map((bar, index) => (
        <Head key={bar.name} x={bar.x} name={narrow ? (SHORT[bar.name] ?? bar.name.slice(0, 6)) : bar.name} note={tiers[index]?.note ?? ""} />
      ))}
      <Head x={right + (narrow ? 8 : 0)} name="Answered" note={`${percent(1 - nothing / reads)}%`} />
    </>
  );
}

function Head({ x, name, note }: { x: number; name: string; note: string }) {
  return (
    <text x={x} y="12">
      <tspan class="strong">{name}</tspan>
      <tspan x={x} dy="16">
        {note}
      </tspan>
    </text>
  );
}

function Ends({ ends, drawn, reads, bottom, narrow }: { ends: readonly Bar[]; drawn: Drawn; reads: number; bottom: number; narrow: boolean }) {
  const places = apart(ends.map((end) => end.y + end.height / 2 - LABEL / 2), LABEL, bottom);
  return (
    <>
      {ends.map((end, index) => {
        const nothing = end.name === NOTHING;
        const value = drawn.ribbons.filter((ribbon) => (nothing ? ribbon.kind === "nothing" : ribbon.kind === "answered" && ribbon.from === end.name)).reduce((all, ribbon) => all + ribbon.value, 0);
        const y = (places[index] as number) + 12;
        return (
          <text key={end.name} x={end.x + 14} y={y} class={nothing ? "nothing" : ""}>
            <tspan class="share">{percent(value / reads)}%</tspan>
            <tspan x={end.x + 14} dy="15">
              {exact(value)} {nothing ? "nothing" : narrow ? (SHORT[end.name] ?? end.name) : `by ${end.name}`}
            </tspan>
          </text>
        );
      })}
    </>
  );
}
