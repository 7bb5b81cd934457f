// What was decided about an episode, in words.

import { channelName } from "./deliveries";
import { exact } from "../../format/number";
import { parsed, second } from "../../format/time";

export interface Decision {
  at: string;
  stage: string;
  outcome: string;
  reason: string;
  receiver?: string;
}

const DECIDED: Record<string, string> = { grouped: "Goes to", told: "Told", sent: "Sent to", unheard: "Nobody to tell at", silenced: "Silenced for", inhibited: "Held back for", dead: "Given up for" };

const COMPARES: Record<string, string> = { "=": "", "!=": "is not ", "=~": "matches ", "!~": "does not match " };

/** `alertname="slow", team=~"a|b"` as "alert slow, team matches a|b". */
function labelWords(text: string): string {
  const found = [...text.matchAll(/([A-Za-z_][\w.]*)(=~|!=|!~|=)"((?:[^"\\]|\\.)*)"/g)];
  return found.map(([, name = "", compare = "=", value = ""]) => `${name === "alertname" ? "alert" : name} ${COMPARES[compare]}${value.replaceAll(/\\(.)/g, "$1")}`).join(", ");
}

/** Which route an alert takes and what its group has in common, of the log's `route KEY, group KEY:{labels}`; none when it is something else. */
function wayWords(reason: string): string | null {
  const found = /^route (\{\}(?:\/\{(.*)\})?), group \1:\{(.*)\}$/s.exec(reason);
  if (!found) return null;
  const [, , route = "", group = ""] = found;
  return `${route ? `Route for ${labelWords(route)}` : "Default route"}, ${group ? `grouped by ${labelWords(group)}` : "in one group with all others"}`;
}

/** A decision in words; its stage stays in reach, it is the word of the log. */
export function decided({ stage, outcome: found, receiver }: Decision): string {
  const words = DECIDED[found];
  return words && receiver ? `${words} ${channelName(receiver)}` : `${stage}: ${found}${receiver ? `, ${receiver}` : ""}`;
}

/** "new_alerts: alerts were added to the group; to websocket" without the words that stand elsewhere in the row. */
export function because(reason: string): string {
  const way = wayWords(reason);
  if (way) return way;
  const words = reason.replace(/^[a-z_]+: /, "").replace(/; to .*$/, "");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export interface Step {
  first: Decision;
  /** The same again. */
  more: Decision[];
}

/** Decisions of the same kind in a row are one step from the third on: a group may be told of all day. */
export function steps(decisions: readonly Decision[]): Step[] {
  const found: Step[] = [];
  for (const each of decisions) {
    const last = found.at(-1);
    const same = (other: Decision | undefined) => other?.outcome === each.outcome && other.receiver === each.receiver;
    if (last && same(last.first) && same(found.at(-2)?.first)) last.more.push(each);
    else found.push({ first: each, more: [] });
  }
  return found;
}

/** Why, and how often again. */
export function stepWords({ first, more }: Step): string {
  const last = more.at(-1);
  return last ? `${because(first.reason)}. Then ${exact(more.length)} more until ${second(parsed(last.at))}` : because(first.reason);
}
