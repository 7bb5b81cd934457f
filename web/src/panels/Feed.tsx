// The latest events, newest first. The lines are made once and written by the painter; an open line holds the feed still.

import { useEffect, useRef, useState } from "preact/hooks";
import { useApp, usePaint } from "../frame/context";
import type { LogEvent } from "../data/events";
import { FeedStore } from "../data/feed";
import { eventsUntil } from "../data/past";
import type { Units } from "../format/alert";
import { exact, NONE } from "../format/number";
import { fields, sentence, subject } from "../format/sentence";
import { minute, parsed, stamp } from "../format/time";
import { write } from "./Stat";

/** Events that are looked for in a time that is over. */
const PAST_LINES = 50;

interface Props {
  channel: string;
  lines?: number;
  /** With the offset in a column of its own. */
  offsets?: boolean;
  /** Which events; all without it. */
  filter?: (event: LogEvent) => boolean;
  /** Of the channel's types these alone. */
  types?: readonly string[];
  /** Another store than that of the channel. */
  store?: FeedStore;
  /** In a time that is over the channel's own events stand in for those of the store. */
  thenOwn?: boolean;
  label?: string;
  /** All of one agent, or of one type: what would stand in each line is left out. */
  ofOne?: "agent" | "type";
}

export function Feed({ channel, lines = 10, offsets = false, filter, types, store, thenOwn = !store, label = "Latest events", ofOne }: Props) {
  const app = useApp();
  const past = usePast(channel, types, filter, thenOwn);
  const feed = past ?? store ?? app.feed(channel, types);
  const place = useRef<HTMLDivElement>(null);
  const held = useRef(false);
  const shown = useRef<LogEvent[]>([]);
  const [open, setOpen] = useState<LogEvent | null>(null);
  const [newer, setNewer] = useState(0);
  const painted = useRef("");

  usePaint(() => {
    const chosen = choose(feed, app.moment.mode.value === "live" ? Infinity : app.moment.end(), filter, lines);
    if (held.current || open) {
      const first = shown.current[0]?.offset ?? 0;
      const count = Math.min(999, feed.lines.filter((event) => event.offset > first && (!filter || filter(event))).length);
      if (count !== newer) setNewer(count);
      return;
    }
    if (newer) setNewer(0);
    const key = `${feed === past} ${feed.version} ${app.moment.mode.value} ${chosen[0]?.offset} ${chosen.length}`;
    if (key === painted.current) return;
    painted.current = key;
    shown.current = chosen;
    paint(place.current, chosen, offsets, app.metrics.units);
  });

  function hold(is: boolean): void {
    held.current = is;
    if (!is) app.painter.touch();
  }

  return (
    <div class={`feed ${ofOne ? `of-one-${ofOne}` : ""}`} onPointerEnter={() => hold(true)} onPointerLeave={() => hold(false)} role="group" aria-label={label}>
      {newer && (open || held.current) ? (
        <button type="button" class="button newer" onClick={() => (setOpen(null), hold(false))}>
          {exact(newer)} newer
        </button>
      ) : null}
      <div ref={place}>
        {Array.from({ length: lines }, (_, index) => (
          <button type="button" key={index} class={`line ${offsets ? "tail-line" : ""}`} hidden onClick={() => setOpen(shown.current[index] ?? null)}>
            <span class="at" />
            {offsets ? <span class="at n" /> : null}
            <span class="type" />
            <span class="who" />
            <span class="said-by" />
          </button>
        ))}
      </div>
      {open ? <Opened event={open} close={() => setOpen(null)} /> : null}
      <FeedSilence feed={feed} over={feed === past} asked={thenOwn && app.moment.mode.value === "past" && !past} shown={shown} />
    </div>
  );
}

/** While a past range is looked at: a feed of what was up to its end; null while it is live. */
function usePast(channel: string, types: readonly string[] | undefined, filter: Props["filter"], wanted: boolean): FeedStore | null {
  const app = useApp();
  const [feed, setFeed] = useState<FeedStore | null>(null);
  const end = wanted && app.moment.mode.value === "past" ? app.moment.fixed.value : 0;
  const start = end - app.moment.span.value;
  const wish = (event: LogEvent) => (!types || types.includes(event.type)) && (!filter || filter(event));
  useEffect(() => {
    setFeed(null);
    if (!end) return undefined;
    let still = true;
    const found = new FeedStore(() => Date.now() / 1000);
    const ask = () => app.api.awaiting("/api/history", eventsUntil(app.api, channel, { from: start, to: end, head: app.head, most: PAST_LINES, wish })).then((events) => {
      found.seed(events);
      if (still) setFeed(found);
    }, () => undefined); // The feed stays as it is; the frame says when there is no connection.
    // A range that is dragged along is asked for where it stops.
    const wait = setTimeout(() => void ask(), 250);
    return () => {
      still = false;
      clearTimeout(wait);
    };
  }, [end, start, channel, app.booted.value]);
  return feed;
}

function choose(feed: FeedStore, until: number, filter: Props["filter"], lines: number): LogEvent[] {
  const chosen: LogEvent[] = [];
  for (const event of feed.lines) {
    if (chosen.length === lines) break;
    if (until !== Infinity && parsed(event.time) > until) continue;
    if (!filter || filter(event)) chosen.push(event);
  }
  return chosen;
}

function paint(place: HTMLElement | null, events: readonly LogEvent[], offsets: boolean, units: Units): void {
  if (!place) return;
  for (let index = 0; index < place.children.length; index += 1) {
    const line = place.children[index] as HTMLElement;
    const event = events[index];
    line.hidden = !event;
    if (!event) continue;
    const cells = line.children;
    const shift = offsets ? 1 : 0;
    write(cells[0] as Element, stamp(parsed(event.time)));
    if (offsets) write(cells[1] as Element, exact(event.offset));
    write(cells[1 + shift] as Element, event.type);
    (cells[1 + shift] as HTMLElement).className = `type ${tone(event)}`;
    write(cells[2 + shift] as Element, subject(event));
    write(cells[3 + shift] as Element, sentence(event.type, fields(event.data), units));
    line.dataset["offset"] = String(event.offset);
  }
}

/** What failed has a colour; everything else is grey. */
export function tone(event: LogEvent): string {
  if (event.type.endsWith(".failed")) return "crit";
  if (event.type === "alert.firing") return fields(event.data)["priority"] === "critical" ? "crit" : "warn";
  return event.type === "knowledge.miss" ? "warn" : "";
}

export function Opened({ event, close }: { event: LogEvent; close: () => void }) {
  return (
    <div class="opened" role="region" aria-label={`Event at offset ${event.offset}`}>
      <button type="button" class="button bare" onClick={close}>
        Close
      </button>
      <span class="quiet"> offset {exact(event.offset)}</span>
      <pre tabIndex={0}>{JSON.stringify(event, null, 2)}</pre>
    </div>
  );
}

/** `over`: it is a time that is over; `asked`: one that is still asked for. */
function FeedSilence({ feed, over, asked, shown }: { feed: FeedStore; over: boolean; asked: boolean; shown: { current: readonly LogEvent[] } }) {
  const words = useRef<HTMLParagraphElement>(null);
  usePaint(() => {
    if (words.current) words.current.hidden = shown.current.length > 0;
  });
  return (
    <p class="panel-said" ref={words} hidden>
      {asked ? NONE : over ? "No such events in this time." : feed.lines.length ? "None of the latest events." : "Listening. The first event shows here."}
    </p>
  );
}

function perSecond(rate: number): string {
  return exact(rate, rate < 9.95 ? 1 : 0);
}

/** "128/s, one in 5 shown", for the head of a feed's panel. */
export function FeedRate({ channel, store }: { channel: string; store?: FeedStore }) {
  const app = useApp();
  const feed = store ?? app.feed(channel);
  const words = useRef<HTMLSpanElement>(null);
  const last = useRef(0);
  usePaint(() => {
    if (performance.now() - last.current < 1000) return;
    last.current = performance.now();
    if (app.moment.mode.value === "past") return write(words.current, `${minute(app.moment.start())} to ${minute(app.moment.end())}, newest first`);
    const stopped = app.link.state.value !== "open";
    const sampled = feed.sampled > 1 ? `, one in ${feed.sampled} shown` : "";
    write(words.current, stopped ? "stopped" : `${perSecond(feed.rate())}/s${sampled}`);
  });
  return <span ref={words} />;
}
