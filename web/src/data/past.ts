// The events up to a moment that is over. The log is ordered by offset, snapshots in it carry the clock: their times are searched by halves.

import { parsed } from "../format/time";
import type { Api } from "./api";
import type { LogEvent } from "./events";

interface Page {
  result?: { publications?: { data: LogEvent; offset: number }[] };
}

const CLOCK = "metrics_updates";

/** The newest events of a channel at or before `to` (unix seconds), the newest first. `head`: the end of the log. */
export async function eventsUntil(api: Api, channel: string, to: number, head: number, limit: number): Promise<LogEvent[]> {
  const before = await offsetAfter(api, to, head);
  const page = await api.post<Page>("/api/history", { channel, limit, reverse: true, since: { offset: before, epoch: "" } });
  return listed(page).filter((event) => !(parsed(event.time) > to));
}

/** The offset of the first snapshot after a time, `head` when there is none. */
export async function offsetAfter(api: Api, to: number, head: number): Promise<number> {
  let [low, high] = [0, head];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const page = await api.post<Page>("/api/history", { channel: CLOCK, limit: 1, since: { offset: middle, epoch: "" } });
    const [next] = listed(page);
    if (next && next.offset < high && !(parsed(next.time) > to)) low = next.offset;
    else high = middle;
  }
  return Math.min(head, high + 1);
}

function listed({ result }: Page): LogEvent[] {
  return (result?.publications ?? []).map(({ data, offset }) => ({ ...data, offset }));
}
