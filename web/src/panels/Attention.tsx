// What needs a person, above everything: at most three rows, then "and 4 more".

import { useApp, usePulse } from "../frame/context";
import { Mark } from "./Mark";
import type { Alert } from "../data/alerts";
import { alertWords } from "../format/alert";
import { exact } from "../format/number";
import { full, since } from "../format/time";
import { acknowledge } from "../data/actions";
import { valueNow } from "./severity";

const MOST = 3;

export function Attention() {
  const app = useApp();
  usePulse(() => Math.floor(app.moment.now() / 5) + app.alerts.version * 1e10 + Object.keys(app.metrics.units).length * 1e13, 200);
  const firing = app.alerts.firing.value.filter((alert) => alert.priority !== "info");
  if (!app.booted.value) return <div class="attention" />;
  return (
    <div class="attention" role="status" aria-label="Alerts">
      {firing.length ? firing.slice(0, MOST).map((alert) => <Row key={alert.episode} alert={alert} />) : <p class="calm">Nothing needs you.</p>}
      {firing.length > MOST ? (
        <a class="quiet small" href="/view/alerts">
          and {exact(firing.length - MOST)} more
        </a>
      ) : null}
    </div>
  );
}

function Row({ alert }: { alert: Alert }) {
  const app = useApp();
  const { title, limit } = alertWords(alert, app.metrics.units, valueNow(app, alert.condition));
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
        <button type="button" class="button" disabled={app.link.state.value !== "open"} onClick={() => void acknowledge(app, alert.episode)}>
          Acknowledge
        </button>
      )}
    </div>
  );
}
