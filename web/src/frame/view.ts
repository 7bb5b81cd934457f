// What a view is, and which one an address means.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import type { Moment } from "../data/moment";

export interface View {
  /** Its place in the address: /view/ID. */
  id: string;
  title: string;
  /** Group of the rail. */
  group: "" | "Platform" | "Plumbing";
  icon: string;
  /** Second key after `g`. */
  key?: string;
  body: ComponentType;
  /** One fact beside the title. */
  fact?: ComponentType;
}

export interface Route {
  view: string;
  /** Dashboard of a definition, when the view is "dashboard". */
  dashboard: string;
  query: URLSearchParams;
}

export const route = signal<Route>({ view: "", dashboard: "", query: new URLSearchParams() });

/** Understand the address; `home` is the view at `/`. */
export function readAddress(home: string, moment: Moment): void {
  const query = new URLSearchParams(location.search);
  const [first = "", second = ""] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  if (first === "view") route.value = { view: second, dashboard: "", query };
  else if (first === "dashboards") route.value = { view: "dashboard", dashboard: second, query };
  else route.value = home && home !== "operational_overview" ? { view: "dashboard", dashboard: home, query } : { view: "overview", dashboard: "", query };
  readMoment(query, moment);
}

function readMoment(query: URLSearchParams, moment: Moment): void {
  const span = Number(query.get("span"));
  if (span >= 60) moment.span.value = span;
  const to = Number(query.get("to"));
  if (to > 0) moment.look(to - moment.span.value, to);
}

/** Go to an address within the page. */
export function go(href: string, home: string, moment: Moment): void {
  history.pushState(null, "", kept(href));
  readAddress(home, moment);
  scrollTo(0, 0);
  // The new view is announced by its heading, which takes the focus.
  document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
}

/** Range and past go along from view to view. */
function kept(href: string): string {
  const target = new URL(href, location.origin);
  for (const name of ["span", "to"]) {
    const value = new URLSearchParams(location.search).get(name);
    if (value && !target.searchParams.has(name)) target.searchParams.set(name, value);
  }
  return target.pathname + target.search;
}

/** Write what is looked at into the address, so that it is a link. */
export function writeAddress(changes: Record<string, string | null>): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(null, "", url.pathname + url.search);
  route.value = { ...route.peek(), query: url.searchParams };
}
