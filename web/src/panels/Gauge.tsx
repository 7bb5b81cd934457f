// A share of a capacity: a thin bar with its value in words. No dials.

import { useRef } from "preact/hooks";
import { valueAtEnd } from "../charts/sampling";
import { useApp, usePaint } from "../frame/context";
import { valuedText } from "../format/number";
import { write } from "./Stat";

interface Props {
  title: string;
  /** Capacity in words: "of 80 GB". */
  of?: string;
  metric: string;
  unit?: string;
  scale?: number;
  limit?: number | undefined;
  /** The value that fills the bar. */
  full?: number;
}

export function Gauge({ title, of = "", metric, unit = "%", scale = 1, limit = 90, full = 100 }: Props) {
  const app = useApp();
  const number = useRef<HTMLElement>(null);
  const bar = useRef<HTMLElement>(null);
  usePaint(() => {
    const value = valueAtEnd(app, metric) * scale;
    write(number.current, Number.isNaN(value) ? "–" : valuedText(Math.round(value * 10) / 10, unit));
    const high = value >= limit;
    if (number.current) number.current.className = high ? "warn" : "";
    if (!bar.current) return;
    bar.current.className = high ? "warn" : "";
    bar.current.style.transform = `scaleX(${Number.isNaN(value) ? 0 : Math.min(1, Math.max(0.012, value / full))})`;
  });
  return (
    <div class="gauge" data-metric={metric}>
      <span>
        <span class="name">{title}</span> <span class="quiet small">{of}</span>
      </span>
      <b ref={number}>–</b>
      <span class="bar">
        <i ref={bar} />
      </span>
    </div>
  );
}

/** The same for a share that is known already. */
export function Bar({ title, of = "", share, warn = false }: { title: string; of?: string; share: number; warn?: boolean }) {
  return (
    <div class="gauge">
      <span>
        <span class="name">{title}</span> <span class="quiet small">{of}</span>
      </span>
      <b class={warn ? "warn" : ""}>{valuedText(Math.round(share * 1000) / 10, "%")}</b>
      <span class="bar">
        <i class={warn ? "warn" : ""} style={{ transform: `scaleX(${Math.min(1, Math.max(0.012, share))})` }} />
      </span>
    </div>
  );
}
