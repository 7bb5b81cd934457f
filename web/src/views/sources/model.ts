// A source, as `GET /sources/status` has it, and what a person changes about it.

import { signal } from "@preact/signals";
import type { App } from "../../data/app";

/** How a source is asked again after a failure. Pauses in seconds; `tries` 0: it is never given up. */
export interface Settings {
  live: boolean;
  first_pause: number;
  longest_pause: number;
  failures: number;
  tries: number;
}

export interface SourceState {
  state: "starting" | "ok" | "failing" | "away" | "off";
  since: string;
  reason: string;
  failures: number;
  stale: boolean;
  last_answer: string | null;
  /** Null while it is off. */
  next_try: string | null;
  settings: Settings;
  items: number;
  history: { state: SourceState["state"]; at: string; reason: string }[];
}

export interface Source extends SourceState {
  name: string;
}

export interface Status {
  sources: Record<string, SourceState>;
}

export const STATUS = "/sources/status";

export const MARKS: Record<SourceState["state"], string> = { starting: "pending", ok: "connected", failing: "slow", away: "away", off: "off" };
const WORDS: Record<SourceState["state"], string> = { starting: "starting", ok: "connected", failing: "failing", away: "away", off: "switched off" };

/** The last refusal, in words; shown until the next try. */
export const refused = signal("");

/** A state in words. Off is what somebody has switched off, or what was given up. */
export function words(row: { state: SourceState["state"]; reason: string }): string {
  return row.state === "off" && row.reason.startsWith("given up") ? "given up" : WORDS[row.state];
}

export function retry(app: App, name: string): Promise<boolean> {
  return act(app, `${name}/retry`);
}

export function change(app: App, name: string, settings: Partial<Settings>): Promise<boolean> {
  const query = new URLSearchParams(Object.entries(settings).map(([key, value]) => [key, String(value)]));
  return act(app, `${name}/settings?${query}`);
}

async function act(app: App, what: string): Promise<boolean> {
  refused.value = "";
  try {
    await app.api.ask("POST", `/sources/${what}`);
    return true;
  } catch (error) {
    refused.value = (error as Error).message;
    return false;
  }
}
