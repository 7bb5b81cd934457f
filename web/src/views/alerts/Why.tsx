// What was decided about an episode and why, and what became of each notification of it.

import { useState } from "preact/hooks";
import { useResource } from "../../frame/context";
import { exact } from "../../format/number";
import { full, parsed, second } from "../../format/time";
import { type Column, Table } from "../../panels/Table";
import { decided, type Decision, steps, stepWords } from "./decisions";
import { type Delivery, kindOf, outcome, stateOf, whom } from "./deliveries";
import type { Entry } from "./model";

interface Told {
  decisions: Decision[];
  deliveries: Delivery[];
}

const TONES: Record<string, string> = { told: "ok", sent: "ok", dead: "crit", silenced: "quiet", inhibited: "quiet" };

export function Why({ entry }: { entry: Entry }) {
  const { data } = useResource<Told>(`/notifications/log?episode=${encodeURIComponent(entry.episode)}`, 5);
  return (
    <div>
      <Decisions entry={entry} decisions={data?.decisions ?? []} />
      <Deliveries deliveries={data?.deliveries ?? []} known={data !== null} />
    </div>
  );
}

function Decisions({ entry, decisions }: { entry: Entry; decisions: readonly Decision[] }) {
  return (
    <section aria-label="Why" class="why">
      <div class="panel-head">
        <h3>Why</h3>
        <span class="sub" title={entry.episode}>episode {entry.episode.slice(0, 8)}</span>
        <a class="right" href={`/view/streams?channel=system_alerts&filter=${encodeURIComponent(`data.episode == "${entry.episode}"`)}`}>
          Its events
        </a>
      </div>
      <ol>
        <Step at={entry.since} name={entry.state === "pending" ? "Condition true" : "Fires"} more={entry.condition} tone={entry.priority === "critical" ? "crit" : "warn"} />
        {steps(decisions).map((each, index) => <Step key={index} at={parsed(each.first.at)} name={decided(each.first)} more={stepWords(each)} tone={TONES[each.first.outcome] ?? ""} />)}
        {entry.end === null ? null : <Step at={entry.end} name="Ended" more="" tone="" />}
      </ol>
    </section>
  );
}

function Step({ at, name, more, tone }: { at: number; name: string; more: string; tone: string }) {
  return (
    <li class={tone}>
      <span class="mono quiet">{second(at)}</span>
      <p>
        <span class="name">{name}</span>
        <span class="small quiet">{more}</span>
      </p>
    </li>
  );
}

const COLUMNS: readonly Column<Delivery>[] = [
  { name: "To", cell: whom },
  { name: "says", wide: true, cell: kindOf },
  { name: "state", cell: (row) => stateOf(row).words, class: (row) => stateOf(row).tone },
  { name: "tries", number: true, wide: true, cell: (row) => exact(row.attempts) },
  { name: "at", number: true, cell: (row) => <span title={full(parsed(row.at))}>{second(parsed(row.at))}</span> },
];

/** Deliveries that are shown at once: those that failed stand out in the sum above them. */
const SHOWN = 12;

function Deliveries({ deliveries, known }: { deliveries: readonly Delivery[]; known: boolean }) {
  const [all, setAll] = useState(false);
  const newest = [...deliveries].sort((left, right) => parsed(right.at) - parsed(left.at));
  const id = (row: Delivery) => `${row.at} ${row.channel} ${row.target} ${row.kind}`;
  return (
    <section aria-label="Deliveries" class="deliveries">
      <div class="panel-head">
        <h3>Deliveries</h3>
        <span class="sub">{outcome(deliveries)}</span>
      </div>
      <Table label="Deliveries" columns={COLUMNS} rows={all ? newest : newest.slice(0, SHOWN)} id={id} nothing={known ? "Nobody was told, as far as it is kept." : "–"} below={(row) => (row.error ? <span class="small wrap">{row.error}</span> : null)} />
      {newest.length > SHOWN && !all ? (
        <button type="button" class="button bare" onClick={() => setAll(true)}>
          and {exact(newest.length - SHOWN)} before
        </button>
      ) : null}
    </section>
  );
}
