// A few events that the service chose, newest first.

import type { LogEvent } from "../data/events";
import { fields, sentence, subject } from "../format/sentence";
import { parsed, stamp } from "../format/time";
import { tone } from "./Feed";

export function Lines({ events }: { events: readonly LogEvent[] }) {
  if (!events.length) return <p class="panel-said">No such events yet.</p>;
  return (
    <div class="feed">
      {[...events].reverse().map((event) => (
        <a class="line" key={event.offset} data-offset={event.offset} href={`/view/streams?offset=${event.offset}`}>
          <span class="at">{stamp(parsed(event.time))}</span>
          <span class={`type ${tone(event)}`}>{event.type}</span>
          <span class="who">{subject(event)}</span>
          <span class="said-by">{sentence(event.type, fields(event.data))}</span>
        </a>
      ))}
    </div>
  );
}
