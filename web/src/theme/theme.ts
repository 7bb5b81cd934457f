// Dark or light: as the system has it until someone chooses; and the colours of charts, read from the style sheet.

import { signal } from "@preact/signals";

export type Theme = "dark" | "light";
/** How data looks: live, not up to date, or of a time that is over. */
export type Look = "live" | "stale" | "past";
export type Palette = Readonly<Record<Token, string>>;

const TOKENS = [
  "bg", "raise", "rule", "rule2", "edge", "tx1", "tx2", "tx3", "ink4", "accent", "crit", "crit-span", "warn", "warn-f", "warn-span", "ok",
  "q50", "q95", "q99", "h0", "h1", "h2", "h3", "h4", "h5", "s1", "s2", "s3", "s4", "s5", "spark", "spine", "flow", "band", "fill", "hatch", "cmp", "sel", "accent-dim",
] as const;
export type Token = (typeof TOKENS)[number];

const KEY = "hxp.theme";
const system = matchMedia("(prefers-color-scheme: light)");

export const theme = signal<Theme>(chosen() ?? preferred());

export function startTheme(): void {
  system.addEventListener("change", () => chosen() ?? set(preferred()));
  set(theme.value);
}

export function toggleTheme(): void {
  const next = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing still switches for now.
  }
  set(next);
}

function set(next: Theme): void {
  document.documentElement.dataset["theme"] = next;
  theme.value = next;
}

function preferred(): Theme {
  return system.matches ? "light" : "dark";
}

function chosen(): Theme | null {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null;
  }
}

const palettes = new Map<string, Palette>();

/** The colours in force for an element; read once for each theme and look. */
export function palette(element: Element): Palette {
  const look = (element.closest("[data-state]") as HTMLElement | null)?.dataset["state"] ?? "live";
  const key = `${theme.value} ${look}`;
  let known = palettes.get(key);
  if (!known) {
    const style = getComputedStyle(element);
    known = Object.fromEntries(TOKENS.map((token) => [token, style.getPropertyValue(`--${token}`).trim()])) as Palette;
    palettes.set(key, known);
  }
  return known;
}

export const CHART_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
