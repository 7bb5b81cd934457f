// What a person does about an alert.

import { signal } from "@preact/signals";
import type { App } from "./app";

/** The last refusal, in words; shown until the next try. */
export const refusal = signal("");

const WHO = "hxp.who";

/** The name that this browser acknowledges and silences with. */
export function who(): string {
  try {
    return localStorage.getItem(WHO) ?? "the dashboard";
  } catch {
    return "the dashboard";
  }
}

export function remember(name: string): void {
  try {
    localStorage.setItem(WHO, name);
  } catch {
    // Asked again next time.
  }
}

export async function acknowledge(app: App, episode: string): Promise<boolean> {
  return act(() => app.api.post("/notifications/acknowledge", { episode, by: who() }));
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

/** Nobody is told of alerts with these labels for `seconds`. */
export async function silence(app: App, matchers: readonly Matcher[], seconds: number, comment: string): Promise<boolean> {
  const now = app.moment.now();
  const span = { startsAt: new Date(now * 1000).toISOString(), endsAt: new Date((now + seconds) * 1000).toISOString() };
  return act(() => app.api.post("/api/v2/silences", { matchers, ...span, createdBy: who(), comment }));
}

export async function endSilence(app: App, id: string): Promise<boolean> {
  return act(() => app.api.ask("DELETE", `/api/v2/silence/${encodeURIComponent(id)}`));
}

async function act(ask: () => Promise<unknown>): Promise<boolean> {
  refusal.value = "";
  try {
    await ask();
    return true;
  } catch (error) {
    refusal.value = (error as Error).message;
    return false;
  }
}
