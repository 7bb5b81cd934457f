// One channel's events as they come, through a filter that the service evaluates. A stream of its own, as long as it is looked at.

import { isEvent, type LogEvent } from "./events";
import type { Api } from "./api";
import { FeedStore } from "./feed";

/** Offsets that a filter looks back. */
const LOOK_BACK = 50_000;

export interface TailState {
  open: boolean;
  /** What is wrong with the filter, in the words of the service. */
  fault: string;
}

export class Tail {
  readonly feed = new FeedStore(() => Date.now() / 1000);
  state: TailState = { open: false, fault: "" };
  private source: EventSource | null = null;

  constructor(readonly channel: string, private readonly api: Api, private readonly changed: () => void) {}

  /** Begin anew with a filter, over the last events before `head` as well; empty: everything. "offset N" shows what is around that event. */
  open(filter: string, head: number): void {
    this.close();
    this.feed.clear();
    const query = new URLSearchParams(filter.startsWith("offset ") ? around(filter) : filter ? { after: String(Math.max(0, head - LOOK_BACK)) } : { last: "100" });
    if (filter && !filter.startsWith("offset ")) query.set("filter", filter);
    const source = (this.source = new EventSource(`/sse/${encodeURIComponent(this.channel)}?${query}`));
    source.onopen = () => this.tell({ open: true, fault: "" });
    source.onmessage = ({ data }: MessageEvent<string>) => this.take(data);
    source.onerror = () => source.readyState === EventSource.CLOSED && void this.explain(source, query);
  }

  close(): void {
    this.source?.close();
    this.source = null;
  }

  private take(text: string): void {
    const event: unknown = JSON.parse(text);
    if (isEvent(event)) this.feed.take(event as LogEvent);
    this.changed();
  }

  /** A refused EventSource does not say why; the same question by plain HTTP does. */
  private async explain(source: EventSource, query: URLSearchParams): Promise<void> {
    const fault = await this.api.get(`/sse/${encodeURIComponent(this.channel)}?${query}`).then(() => "", (error: Error) => error.message);
    if (source === this.source) this.tell({ open: false, fault });
  }

  private tell(state: TailState): void {
    this.state = state;
    this.changed();
  }
}

function around(filter: string): Record<string, string> {
  const offset = Number.parseInt(filter.slice(7).replaceAll(",", ""), 10) || 1;
  return { after: String(Math.max(0, offset - 8)) };
}
