// What is to be known about the time of the data: lost, stale, past. One line each.

import { useApp, usePulse } from "./context";
import { Mark } from "../panels/Mark";
import { COMPARES } from "../data/moment";
import { exact } from "../format/number";
import { age, duration, minute, sameDay, second, day } from "../format/time";

export function Notices() {
  const app = useApp();
  const { link, moment } = app;
  if (link.state.value === "lost") return <Lost />;
  if (moment.mode.value === "past") return <Past />;
  return app.staleFor.value ? <Stale /> : null;
}

function Lost() {
  const { link, head, booted } = useApp();
  usePulse(() => Math.floor(Date.now() / 1000), 200);
  const left = Math.max(0, Math.ceil(link.nextTry.value - Date.now() / 1000));
  return (
    <div class="notice" role="status" id="notice">
      <Mark of="slow" label="Connection" />
      <p>
        <b>Connection lost at {second(link.lostAt.value)}.</b> {booted.value ? "You see the last data received." : "Nothing was received yet."}{" "}
        <span aria-live="off">
          Next try in {left} s{booted.value ? `; it then goes on at offset ${exact(head)}` : ""}.
        </span>
      </p>
      <button type="button" class="button" onClick={() => link.retry()}>
        Try now
      </button>
    </div>
  );
}

function Stale() {
  const app = useApp();
  return (
    <div class="notice" role="status" id="notice">
      <Mark of="slow" label="Stale" />
      <p>
        <b>Analytics last answered {age(app.staleFor.value)} ago</b>, it should every {duration(app.metrics.tick)}. Figures are from {second(app.metrics.latestAt)}.
      </p>
    </div>
  );
}

function Past() {
  const { moment } = useApp();
  const [from, to] = [moment.start(), moment.end()];
  const when = sameDay(to, moment.now()) ? "today" : `on ${day(to)}`;
  return (
    <div class="notice" id="notice">
      <span class="mark" aria-hidden="true">↺</span>
      <p>
        <b>
          You look at {minute(from)} to {minute(to)} {when}.
        </b>{" "}
        <span class="how">Drag in the strip above, or step with the arrow keys.</span>{moment.compare.value === "off" ? "" : ` Dashed is ${moment.compare.value === "now" ? "now" : "the day before"}.`}
      </p>
      <span class="compare" role="group" aria-label="Compare">
        {COMPARES.map((each) => (
          <button type="button" class="chip" key={each} aria-pressed={moment.compare.value === each} onClick={() => (moment.compare.value = each)}>
            {each === "now" ? "compare with now" : each === "yesterday" ? "with the day before" : "off"}
          </button>
        ))}
      </span>
    </div>
  );
}
