// What became of each notification of an episode, in words.

export interface Delivery {
  channel: string;
  /** To whom; empty where the channel says it. */
  target: string;
  /** `firing`, `resolved` or `message`. */
  kind: string;
  state: string;
  attempts: number;
  /** RFC 3339: when it was last tried or queued. */
  at: string;
  error?: string;
}

export type Tone = "ok" | "warn" | "crit" | "quiet";

const STATES: Record<string, [words: string, tone: Tone]> = {
  sent: ["delivered", "ok"], queued: ["waits", "quiet"], in_flight: ["on its way", "quiet"], retry: ["is tried again", "warn"],
  merged: ["told with another", "quiet"], dead: ["given up", "crit"],
};
const KINDS: Record<string, string> = { firing: "fires", resolved: "ended" };
const CHANNELS: Record<string, string> = { websocket: "WebSocket", sse: "SSE", email: "E-mail", slack: "Slack", webhook: "Webhook", alertmanager: "Alertmanager", all: "all channels" };

/** "E-mail to oncall@example.org". */
export function whom({ channel, target }: Delivery): string {
  const name = channelName(channel);
  return target ? `${name} to ${target}` : name;
}

/** A channel as people write it; a receiver of somebody's own keeps its name. */
export function channelName(channel: string): string {
  return CHANNELS[channel] ?? channel;
}

/** State in words, and its colour. */
export function stateOf({ state }: Delivery): { words: string; tone: Tone } {
  const [words, tone] = STATES[state] ?? [state, "quiet"];
  return { words, tone };
}

export function kindOf({ kind }: Delivery): string {
  return KINDS[kind] ?? kind;
}

/** "12 delivered, 1 given up", what needs a look first; empty when there are none. */
export function outcome(deliveries: readonly Delivery[]): string {
  const counts = new Map<string, number>();
  for (const each of deliveries) counts.set(stateOf(each).words, (counts.get(stateOf(each).words) ?? 0) + 1);
  const rank = ["given up", "is tried again", "waits", "on its way", "delivered", "told with another"];
  return [...counts].sort(([left], [right]) => rank.indexOf(left) - rank.indexOf(right)).map(([words, count]) => `${count} ${words}`).join(", ");
}
