// What needs a person, above everything: at most three rows, then "and 4 more".

import { useApp, usePulse } from "../frame/context";
import { Mark } from "./Mark";
import type { Alert } from "../data/alerts";
import { alertWords } from "../format/alert";
import { exact } from "../format/number";
import { full, minute, since } from "../format/time";
import { acknowledge } from "../data/actions";
import { valueNow } from "./severity";

const MOST = 3;

export function Attention() {
  const app = useApp();
  usePulse(() => Math.floor(app.moment.now() / 5) + app.alerts.version * 1e10 + Object.keys(app.metrics.units).length * 1e13, 200);
  const firing = app.alerts.firing.value.filter((alert) => alert.priority !== "info");
  if (!app.booted.value) return <div class="attention" />;
  if (app.moment.mode.value === "past") return <Fired />;
  return (
    <div class="attention" role="status" aria-label="Alerts">
      {firing.length ? firing.slice(0, MOST).map((alert) => <Row key={alert.episode} alert={alert} told={alertWords(alert, app.metrics.units, valueNow(app, alert))} />) : <p class="calm">Nothing needs you.</p>}
      {firing.length > MOST ? (
        <a class="quiet small" href="/view/alerts">
          and {exact(firing.length - MOST)} more
        </a>
      ) : null}
    </div>
  );
}

/** In a past range: what fired in it. */
function Fired() {
  const app = useApp();
  const [from, to] = [app.moment.start(), app.moment.end()];
  const critical = (span: { priority: string }) => Number(span.priority === "critical");
  const spans = app.alerts.spans.filter((span) => span.start < to && (span.end ?? Infinity) > from && span.priority !== "info").sort((left, right) => critical(right) - critical(left));
  return (
    <div class="attention" role="group" aria-label="Alerts of this time">
      {spans.length ? null : <p class="calm">Nothing fired in this time.</p>}
      {spans.slice(0, MOST).map((span) => (
        <div class="alert-row" key={`${span.rule} ${span.start}`}>
          <Mark of={span.end === null ? span.priority : "ended"} />
          <p class="text">
            <b>{span.rule}</b>
            <span>
              {" "}
              fired at {minute(span.start)}, {span.end === null ? "still fires" : `ended at ${minute(span.end)}`}.
            </span>
          </p>
        </div>
      ))}
      {spans.length > MOST ? (
        <a class="quiet small" href="/view/alerts">
          and {exact(spans.length - MOST)} more
        </a>
      ) : null}
    </div>
  );
}

/** `told` is made by the list, with each pulse: a component whose props stay the same is not rendered again. */
function Row({ alert, told: { title, limit } }: { alert: Alert; told: { title: string; limit: string } }) {
  const app = useApp();
  return (
    <div class="alert-row">
      <Mark of={alert.priority} />
      <p class="text">
        <b>{title}</b>
        <span title={`${alert.rule}: ${alert.condition}`}>{limit ? `, ${limit}` : alert.condition ? `, ${alert.rule}: ${alert.condition}` : ""}</span>
        {alert.by ? <span class="quiet">. Acknowledged by {alert.by}</span> : null}
      </p>
      <span class="age" title={full(alert.since)}>
        {since(alert.since, app.moment.now())}
      </span>
      <a class="button bare" href={`/view/alerts?episode=${encodeURIComponent(alert.episode)}`}>
        Why
      </a>
      {alert.by ? null : (
        <button type="button" class="button acts" disabled={app.link.state.value !== "open"} onClick={() => void acknowledge(app, alert.episode)}>
          Acknowledge
        </button>
      )}
    </div>
  );
}
