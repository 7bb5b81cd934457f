// When a value has a colour: a rule that fires on it, or a limit that it is near.

import type { Alert } from "../data/alerts";
import type { App } from "../data/app";
import type { Group } from "../data/events";
import { limitOf } from "../format/alert";
import type { Token } from "../theme/theme";

export type Severity = "" | "warn" | "crit";

/** Of a value that is now. */
export function severity(app: App, value: number, limit: number | undefined, rule: string | undefined): Severity {
  const firing = rule ? app.alerts.firing.value.find((alert) => alert.rule === rule) : undefined;
  if (firing) return firing.priority === "critical" ? "crit" : "warn";
  return limit !== undefined && value >= limit ? "warn" : "";
}

/** The rule that fires on a metric as a whole, or on the measure that it is a quantile of; the worst first. */
export function ruleOn(app: App, metric: string): string | undefined {
  return app.alerts.firing.value.find((alert) => {
    const measure = limitOf(alert.condition)?.metric;
    const same = measure !== undefined && (measure === metric || metric === `${measure}_p95`);
    return same && !Object.keys(groupOf(app, measure, alert.labels)?.labels ?? {}).length;
  })?.rule;
}

/** What the measure of an alert's condition is now, of its own label set; NaN when it is not in the snapshots. */
export function valueNow(app: App, alert: Pick<Alert, "condition" | "labels">): number {
  const found = limitOf(alert.condition);
  if (!found) return Number.NaN;
  const group = groupOf(app, found.metric, alert.labels);
  return group ? (group.value ?? Number.NaN) : app.metrics.at(found.metric, app.moment.now());
}

/** The label set of a metric that an alert is about; undefined: it is about all. */
export function groupOf(app: App, metric: string, labels: Readonly<Record<string, string>>): Group | undefined {
  const own = app.metrics.groups(metric).filter((group) => Object.entries(group.labels).every(([name, value]) => labels[name] === value));
  return own.sort((left, right) => Object.keys(right.labels).length - Object.keys(left.labels).length)[0];
}

export function toneOf(level: Severity): Token {
  return level === "crit" ? "crit" : level === "warn" ? "warn-f" : "spark";
}
