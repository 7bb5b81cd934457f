// A share of a capacity: a thin bar with its value in words. No dials.

import { useRef } from "preact/hooks";
import { valueAtEnd } from "../charts/sampling";
import { useApp, usePaint } from "../frame/context";
import { exact, NONE, valuedText } from "../format/number";
import { write } from "./Stat";

interface Props {
  title: string;
  /** Capacity in words: "of 80 GB". */
  of?: string;
  metric: string;
  unit?: string;
  scale?: number;
  limit?: number | undefined;
  /** Said in the place of `of` while there is no value. */
  needs?: string;
  /** The value that fills the bar. */
  full?: number;
}

export function Gauge({ title, of = "", metric, unit = "%", scale = 1, limit = 90, needs = "", full = 100 }: Props) {
  const app = useApp();
  const number = useRef<HTMLElement>(null);
  const bar = useRef<HTMLElement>(null);
  const about = useRef<HTMLElement>(null);
  usePaint(() => {
    const value = valueAtEnd(app, metric) * scale;
    write(number.current, Number.isNaN(value) ? NONE : unit === "%" ? percent(value) : valuedText(value, unit));
    write(about.current, Number.isNaN(value) && app.metrics.latest && needs ? needs : of);
    const high = value >= limit;
    if (number.current) number.current.className = high ? "warn" : "";
    if (!bar.current) return;
    bar.current.className = high ? "warn" : "";
    bar.current.style.transform = `scaleX(${seen(value / full)})`;
  });
  return (
    <div class="gauge" data-metric={metric}>
      <span>
        <span class="name">{title}</span> <span class="quiet small" ref={about}>{of}</span>
      </span>
      <b ref={number}>–</b>
      <span class="bar">
        <i ref={bar} />
      </span>
    </div>
  );
}

/** Shares stand below each other: all of them have one decimal. */
function percent(value: number): string {
  return `${exact(value, 1)}%`;
}

/** A little is seen as a little; nothing is nothing. */
function seen(share: number): number {
  return share > 0 ? Math.min(1, Math.max(0.012, share)) : 0;
}

/** The same for a share that is known already. */
export function Bar({ title, of = "", share, warn = false }: { title: string; of?: string; share: number; warn?: boolean }) {
  return (
    <div class="gauge">
      <span>
        <span class="name">{title}</span> <span class="quiet small">{of}</span>
      </span>
      <b class={warn ? "warn" : ""}>{percent(share * 100)}</b>
      <span class="bar">
        <i class={warn ? "warn" : ""} style={{ transform: `scaleX(${seen(share)})` }} />
      </span>
    </div>
  );
}
