// When a value has a colour: a rule that fires on it, or a limit that it is near.

import type { App } from "../data/app";
import { limitOf } from "../format/alert";
import type { Token } from "../theme/theme";

export type Severity = "" | "warn" | "crit";

export function severity(app: App, value: number, limit: number | undefined, rule: string | undefined): Severity {
  const firing = rule && app.moment.mode.value !== "past" ? app.alerts.firing.value.find((alert) => alert.rule === rule) : undefined;
  if (firing) return firing.priority === "critical" ? "crit" : "warn";
  return limit !== undefined && value >= limit ? "warn" : "";
}

/** What the measure of a condition is now; NaN when it is not in the snapshots. */
export function valueNow(app: App, condition: string): number {
  const found = limitOf(condition);
  return found ? app.metrics.at(found.metric, app.moment.now()) : Number.NaN;
}

export function toneOf(level: Severity): Token {
  return level === "crit" ? "crit" : level === "warn" ? "warn-f" : "spark";
}
