// The line on top: what is looked at, for which time, and whether it is live.

import { useRef } from "preact/hooks";
import { useApp, usePaint, usePulse } from "./context";
import { Icon } from "./icons";
import type { View } from "./view";
import { write } from "../panels/Stat";
import { RANGES } from "../data/moment";
import { exact } from "../format/number";

export function Head({ title, view, find }: { title: string; view: View | undefined; find: () => void }) {
  const Fact = view?.fact;
  return (
    <div class="head">
      <h1 tabIndex={-1}>{title}</h1>
      <span class="fact">{Fact ? <span class="known"><Fact /></span> : null}<Waits /></span>
      <span class="grow" />
      <Ranges />
      <Live />
      <button type="button" class="button find-button" onClick={find}>
        <span style={{ display: "inline-flex", width: "13px" }}>
          <Icon of="find" />
        </span>
        Find <kbd>/</kbd>
      </button>
    </div>
  );
}

/** Seconds after which it is said what is being waited for. */
const PATIENCE = 3;

function Waits() {
  const app = useApp();
  usePulse(() => app.late(PATIENCE).join());
  const [first, ...more] = app.late(PATIENCE);
  return first && app.link.state.value !== "lost" ? <span class="waits">waiting for {first}{more.length ? ` and ${exact(more.length)} more` : ""}</span> : null;
}

export function Ranges() {
  const { moment } = useApp();
  return (
    <div class="ranges" role="group" aria-label="Time range">
      {RANGES.map(([name, span]) => (
        <button type="button" class="chip" key={name} aria-pressed={moment.span.value === span} onClick={() => (moment.span.value = span)}>
          {name}
        </button>
      ))}
    </div>
  );
}

function Live() {
  const app = useApp();
  const { moment, link } = app;
  const words = useRef<HTMLSpanElement>(null);
  const waits = () => Number.isNaN(app.metrics.latestAt) && !app.head;
  // Neither is a signal: without this a page that was there before the first event would wait for ever.
  usePulse(waits, 0);
  usePaint(() => {
    if (moment.mode.value === "paused") write(words.current, `Resume, ${exact(Math.max(0, app.head - moment.pausedAt.value))} ahead`);
  });
  if (moment.mode.value === "past") {
    return (
      <button type="button" class="button main live" onClick={() => moment.live()}>
        ▷ Back to live <kbd>l</kbd>
      </button>
    );
  }
  if (link.state.value === "lost") return <Told dot="warn" text="Reconnecting" />;
  if (!app.booted.value || link.state.value === "connecting") return <Told dot="" text="Connecting" />;
  if (waits()) return <Told dot="" text="Waiting" />;
  const paused = moment.mode.value === "paused";
  const stale = !paused && app.staleFor.value > 0;
  return (
    <button type="button" class="button live" title="Pause or resume (Space)" aria-pressed={paused} onClick={() => (paused ? moment.live() : moment.pause(app.head))}>
      <i class={paused ? "dot hollow" : stale ? "dot hollow warn" : "dot"} />
      <span id="live-text" ref={words}>{paused ? "Resume" : stale ? "Stale" : "Live"}</span>
      {paused ? null : <span class="bars" aria-hidden="true" />}
    </button>
  );
}

function Told({ dot, text }: { dot: string; text: string }) {
  return (
    <span class="button live">
      <i class={`dot hollow ${dot}`} />
      <span id="live-text">{text}</span>
    </span>
  );
}
