// Alerts as the view lists them: what fires, what is about to, what is silent, what was.

import { type Alert, told } from "../../data/alerts";
import type { LogEvent } from "../../data/events";
import { fields, text } from "../../format/sentence";
import { parsed } from "../../format/time";

export interface Rule {
  name: string;
  condition: string;
  channel: string;
  priority: string;
  state: string;
  since: string | null;
  episode?: string;
  values: Record<string, number | null>;
  health: string;
  for?: string;
  acknowledged_by?: string;
  /** Labels that it tells apart, and what it has found of each. */
  by?: string[];
  label_sets?: LabelSet[];
}

interface LabelSet {
  labels: Record<string, string>;
  state: string;
  since: string | null;
  episode?: string;
  values: Record<string, number | null>;
  acknowledged_by?: string;
}

export interface Foreign {
  episode: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  priority: string;
  since: string;
  acknowledged_by?: string;
}

export interface Status {
  rules: Rule[];
  foreign_alerts: Foreign[];
  silences: { active: number; pending: number; expired: number };
  not_ready: Record<string, string>;
}

export interface Silence {
  id: string;
  comment: string;
  createdBy: string;
  endsAt: string;
  startsAt: string;
  matchers: { name: string; value: string; isRegex: boolean; isEqual: boolean }[];
  status: { state: string };
}

export interface Entry extends Alert {
  end: number | null;
  by: string;
  state: "firing" | "pending" | "ended";
  /** Of the metrics in the condition, now or as it ended; `values`: as it began. */
  now: Readonly<Record<string, number | null>>;
}

/** What fires now, with the figures of its rule, or of its label set. */
export function firing(alerts: readonly Alert[], status: Status | null): Entry[] {
  const known = new Map((status?.rules ?? []).flatMap((rule) => [rule, ...(rule.label_sets ?? [])].map((each) => [each.episode, each] as const)));
  return alerts.map((alert) => {
    const own = known.get(alert.episode);
    return { ...alert, end: null, state: "firing", by: alert.by ?? own?.acknowledged_by ?? "", now: own?.values ?? alert.values };
  });
}

export function pending(status: Status | null): Entry[] {
  return (status?.rules ?? []).flatMap((rule) => (rule.label_sets?.length ? rule.label_sets : [{ ...rule, labels: {} }]).filter((each) => each.state === "pending").map((each) => pendingOf(rule, each)));
}

function pendingOf(rule: Rule, each: LabelSet): Entry {
  const whose = Object.values(each.labels).join(", ");
  return {
    episode: each.episode ?? rule.name, rule: rule.name, priority: "pending", summary: `${rule.name}${whose ? ` for ${whose}` : ""} is about to fire`, condition: rule.condition,
    since: parsed(each.since), end: null, by: "", state: "pending", values: each.values, now: each.values, labels: { alertname: rule.name, ...each.labels },
  };
}

/** Episodes that are over, from the events of `system_alerts`, the newest first. */
export function ended(events: readonly LogEvent[]): Entry[] {
  const begun = new Map<string, LogEvent>();
  const taken = new Map<string, string>();
  const over: Entry[] = [];
  for (const event of [...events].sort((left, right) => left.offset - right.offset)) {
    const data = fields(event.data);
    const episode = text(data["episode"]);
    if (event.type === "alert.firing") begun.set(episode, event);
    if (event.type === "alert.acknowledged") taken.set(episode, text(data["by"]));
    if (event.type === "alert.resolved") over.push(entry(event, begun.get(episode), taken.get(episode) ?? ""));
  }
  return over.reverse();
}

function entry(event: LogEvent, begin: LogEvent | undefined, by: string): Entry {
  const data = { ...fields(begin?.data), ...fields(event.data) };
  const end = parsed(event.time);
  const summary = text(fields(begin?.data)["summary"]) || text(data["summary"]) || text(data["rule"]);
  return {
    episode: text(data["episode"]), rule: text(data["rule"]), priority: text(data["priority"]), summary, condition: text(data["condition"]),
    since: parsed(begin?.time) || parsed(text(data["since"])) || end, end, by, state: "ended", ...told(fields(begin?.data ?? event.data)), now: told(fields(event.data)).values,
  };
}
