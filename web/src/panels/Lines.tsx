// A few events that the service chose, newest first.

import { useApp, usePulse } from "../frame/context";
import type { LogEvent } from "../data/events";
import { fields, sentence, subject } from "../format/sentence";
import { parsed, stamp } from "../format/time";
import { tone } from "./Feed";

/** `nothing`: said when there are none. */
export function Lines({ events, nothing }: { events: readonly LogEvent[]; nothing: string }) {
  const { metrics } = useApp();
  const { units } = metrics;
  // Units come with the first snapshot.
  usePulse(() => Object.keys(metrics.units).length, 0);
  if (!events.length) return <p class="panel-said">{nothing}</p>;
  return (
    <div class="feed">
      {[...events].reverse().map((event) => (
        <a class="line" key={event.offset} data-offset={event.offset} href={`/view/streams?offset=${event.offset}`}>
          <span class="at">{stamp(parsed(event.time))}</span>
          <span class={`type ${tone(event)}`}>{event.type}</span>
          <span class="who">{subject(event)}</span>
          <span class="said-by">{sentence(event.type, fields(event.data), units)}</span>
        </a>
      ))}
    </div>
  );
}
