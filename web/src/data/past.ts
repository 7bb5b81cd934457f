// The events up to a moment that is over. The log is ordered by offset, snapshots in it carry the clock: their times are searched by halves.

import { parsed } from "../format/time";
import type { Api } from "./api";
import type { LogEvent } from "./events";

interface Page {
  result?: { publications?: { data: LogEvent; offset: number }[] };
}

const CLOCK = "metrics_updates";

/** Events of one page, and pages that are looked through for those that are wished for. */
const PAGE = 200;
const PAGES = 10;

interface Range {
  /** Unix seconds. */
  from: number;
  to: number;
  /** The end of the log. */
  head: number;
  /** So many are enough. */
  most: number;
  wish: (event: LogEvent) => boolean;
}

/** The newest events of a channel in a range that are wished for, the newest first. */
export async function eventsUntil(api: Api, channel: string, { from, to, head, most, wish }: Range): Promise<LogEvent[]> {
  const found: LogEvent[] = [];
  let before = await offsetAfter(api, to, head);
  for (let page = 0; page < PAGES && found.length < most; page += 1) {
    const events = listed(await api.post<Page>("/api/history", { channel, limit: PAGE, reverse: true, since: { offset: before, epoch: "" } }));
    found.push(...events.filter((event) => parsed(event.time) <= to && parsed(event.time) >= from && wish(event)));
    const oldest = events.at(-1);
    if (events.length < PAGE || !oldest || parsed(oldest.time) < from) break;
    before = oldest.offset;
  }
  return found.slice(0, most);
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
