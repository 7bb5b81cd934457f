// What fires, and what did: fed by the answer at the start and by `alert.*` events.

import { signal } from "@preact/signals";
import { limitOf } from "../format/alert";
import { fields, text } from "../format/sentence";
import { parsed } from "../format/time";
import type { LogEvent } from "./events";

export interface Alert {
  episode: string;
  rule: string;
  priority: string;
  summary: string;
  condition: string;
  since: number;
  /** Of the metrics in the condition, as it began. */
  values: Readonly<Record<string, number | null>>;
  labels: Readonly<Record<string, string>>;
  by?: string;
}

export interface Span {
  rule: string;
  priority: string;
  start: number;
  end: number | null;
}

const RANK: Record<string, number> = { critical: 0, warning: 1 };

export class AlertStore {
  readonly firing = signal<readonly Alert[]>([]);
  spans: Span[] = [];
  version = 0;

  replace(firing: readonly Alert[], spans: readonly Span[]): void {
    this.spans = [...spans];
    this.set(firing);
  }

  take(event: LogEvent): void {
    const data = fields(event.data);
    const episode = text(data["episode"]) || text(data["rule"]);
    if (event.type === "alert.firing") this.fire(event, data, episode);
    else if (event.type === "alert.resolved") this.resolve(event, episode);
    else if (event.type === "alert.acknowledged") this.acknowledge(episode, text(data["by"]));
  }

  /** The limit that a firing rule has for a metric, or for the quantiles of one; undefined while it does not fire. */
  limit(rule: string | undefined, metric: string): number | undefined {
    const firing = rule && this.firing.value.find((alert) => alert.rule === rule);
    const found = firing ? limitOf(firing.condition) : null;
    return found && (metric === found.metric || metric.startsWith(`${found.metric}_p`)) ? found.limit : undefined;
  }

  private fire(event: LogEvent, data: Readonly<Record<string, unknown>>, episode: string): void {
    if (this.firing.value.some((alert) => alert.episode === episode)) return;
    const since = parsed(text(data["since"])) || parsed(event.time) || Date.now() / 1000;
    const rule = text(data["rule"]);
    const priority = text(data["priority"]) || "warning";
    const alert = { episode, rule, priority, summary: text(data["summary"]) || rule, condition: text(data["condition"]), since, ...told(data) };
    this.spans.push({ rule, priority, start: since, end: null });
    this.set([...this.firing.value, alert]);
  }

  private resolve(event: LogEvent, episode: string): void {
    const ended = this.firing.value.find((alert) => alert.episode === episode);
    if (!ended) return;
    const open = this.spans.find((span) => span.rule === ended.rule && span.start === ended.since && span.end === null);
    if (open) open.end = parsed(event.time) || Date.now() / 1000;
    this.set(this.firing.value.filter((alert) => alert !== ended));
  }

  private acknowledge(episode: string, by: string): void {
    this.set(this.firing.value.map((alert) => (alert.episode === episode ? { ...alert, by } : alert)));
  }

  private set(firing: readonly Alert[]): void {
    this.firing.value = [...firing].sort((left, right) => (RANK[left.priority] ?? 2) - (RANK[right.priority] ?? 2) || left.since - right.since);
    this.version += 1;
  }
}

/** Values and labels of an `alert.*` event. */
export function told(data: Readonly<Record<string, unknown>>): Pick<Alert, "values" | "labels"> {
  return { values: fields(data["values"]) as Record<string, number | null>, labels: fields(data["labels"]) as Record<string, string> };
}
