// The keyboard. Single letters can be switched off; fields swallow them.

import { signal } from "@preact/signals";
import type { App } from "../data/app";
import { RANGES } from "../data/moment";
import { toggleTheme } from "../theme/theme";
import type { View } from "./view";

/** Keys, what they do, and whether they follow each other. */
export const KEYS: readonly (readonly [keys: string, what: string, then?: boolean])[] = [
  ["/", "Find a view, model or channel"], ["Space", "Pause, resume"], ["l", "Back to live"], ["← →", "Step by a quarter, Shift: all"],
  ["+ −", "Zoom"], ["1–5", "Range from the list"], ["g o", "Overview", true], ["g a", "Alerts", true], ["g h", "History", true], ["g r", "Requests", true],
  ["g t", "Token economics", true], ["g m", "Memory", true], ["g n", "Agents", true], ["g s", "Streams", true], ["g c", "Sources", true], ["g f", "Data flow", true],
  ["f Esc", "Panel full screen, back"], ["t", "Table behind the chart"], ["e", "CSV of the panel"], ["p", "Picture of the panel"], ["c", "Copy a link"],
  ["j k", "Next, previous row"], ["Enter", "Open it"], ["a", "Acknowledge"], ["s", "Silence"], ["w", "Why"], ["d", "Dark or light"], ["?", "These keys"],
];

const SWITCH = "hxp.letters";
export const letters = signal(kept());

function kept(): boolean {
  try {
    return localStorage.getItem(SWITCH) !== "off";
  } catch {
    return true;
  }
}

export function switchLetters(on: boolean): void {
  letters.value = on;
  try {
    localStorage.setItem(SWITCH, on ? "on" : "off");
  } catch {
    // For now only, then.
  }
}

export interface Acts {
  go(href: string): void;
  find(): void;
  help(): void;
  back(): void;
}

export function listen(app: App, views: readonly View[], acts: Acts): () => void {
  let going = 0;
  const pressed = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return;
    if (event.key === "Escape") return acts.back();
    if (event.key.length === 1 && !letters.value) return;
    if (Date.now() - going < 1500 && /^[a-z]$/.test(event.key)) {
      going = 0;
      const view = views.find((each) => each.key === event.key);
      if (view) acts.go(view.id === "overview" ? "/" : `/view/${view.id}`);
      return;
    }
    if (event.key === "g") going = Date.now();
    else if (act(app, acts, event)) event.preventDefault();
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}

function act(app: App, acts: Acts, event: KeyboardEvent): boolean {
  const { moment } = app;
  const onButton = event.target instanceof HTMLElement && event.target.closest("button, a, select, summary") !== null;
  const table: Record<string, () => unknown> = {
    "/": acts.find, "?": acts.help, d: toggleTheme, l: () => moment.live(),
    ArrowLeft: () => moment.step(event.shiftKey ? -1 : -0.25), ArrowRight: () => moment.step(event.shiftKey ? 1 : 0.25),
    "+": () => moment.zoom(0.5), "-": () => moment.zoom(2), "−": () => moment.zoom(2),
    f: () => panel("full"), t: () => panel("table"), e: () => panel("csv"), p: () => panel("picture"), c: () => panel("link"),
    j: () => row(1), k: () => row(-1), a: () => press("acknowledge"), s: () => press("silence"), w: () => press("why"),
    ...(onButton ? {} : { " ": () => (moment.mode.value === "live" ? moment.pause(app.head) : moment.live()) }),
  };
  const range = RANGES[Number(event.key) - 1];
  const found = table[event.key] ?? (range && (() => (moment.span.value = range[1])));
  found?.();
  return found !== undefined;
}

/** The panel under the pointer, or with the focus. */
function panel(name: string): void {
  const found = document.querySelector(".panel.full") ?? document.activeElement?.closest(".panel") ?? document.querySelector(".panel:hover");
  found?.dispatchEvent(new CustomEvent("panel", { detail: name }));
}

function row(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main [data-row][tabindex='0']")];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.max(0, Math.min(rows.length - 1, at + step))]?.focus();
}

function press(name: string): void {
  document.querySelector<HTMLElement>(`main [data-key="${name}"]`)?.click();
}

function inField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
