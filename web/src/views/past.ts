// What a view asks about a range that is over: once, where a dragged range stops.

import { useEffect, useState } from "preact/hooks";
import { useApp } from "../frame/context";
import { day, minute, sameDay } from "../format/time";

/** Unix seconds. */
export interface Range {
  from: number;
  to: number;
}

export type Found<T> = { state: "loading" | "failed"; answers: null } | { state: "ready"; answers: T[] };

const STILL_MS = 250;

/** The past range that the page looks at; null while it is live or paused. */
export function usePastRange(): Range | null {
  const { moment } = useApp();
  const [to, span] = [moment.fixed.value, moment.span.value];
  return moment.mode.value === "past" ? { from: to - span, to } : null;
}

/** What is said of something that is not kept by time: in a past range, that it is of now. */
export function useAsNow(): (live: string) => string {
  const past = usePastRange() !== null;
  return (live) => (past ? "as now" : live);
}

/** Answers to all of these paths; null asks for nothing. */
export function usePast<T>(paths: readonly string[] | null): Found<T> | null {
  const app = useApp();
  const key = paths?.join("\n") ?? "";
  const [found, setFound] = useState<{ key: string; of: Found<T> } | null>(null);
  useEffect(() => {
    if (!paths) return undefined;
    let wanted = true;
    const keep = (of: Found<T>) => wanted && setFound({ key, of });
    const ask = () => Promise.all(paths.map((path) => app.api.first<T>(path))).then((answers) => keep({ state: "ready", answers }), () => keep({ state: "failed", answers: null }));
    const wait = setTimeout(() => void ask(), STILL_MS);
    return () => {
      wanted = false;
      clearTimeout(wait);
    };
  }, [key, app.booted.value]);
  if (!paths) return null;
  return found?.key === key ? found.of : { state: "loading", answers: null };
}

/** "10:45 to 11:45", with the day when it is another one. */
export function rangeWords({ from, to }: Range, now: number): string {
  const begin = sameDay(from, now) && sameDay(to, now) ? minute(from) : `${day(from)}, ${minute(from)}`;
  return `${begin} to ${sameDay(from, to) ? minute(to) : `${day(to)}, ${minute(to)}`}`;
}
