// What a panel shows as rows and columns, read from the page: for panels that are made of text, so that these leave it as CSV and picture too.

import type { Tabular } from "./TableBehind";

/** Rows of its table, lines of its feed, its gauges, or its list; empty when it shows none of these. */
export function seen(panel: HTMLElement): Tabular {
  const table = panel.querySelector("table.grid");
  if (table) return { columns: texts(table, "thead th"), rows: [...table.querySelectorAll("tbody tr:not(.below)")].map((row) => texts(row, "td")) };
  const lines = [...panel.querySelectorAll<HTMLElement>(".feed .line")].filter((line) => !line.hidden);
  if (lines.length) return { columns: lines[0]?.classList.contains("tail-line") ? ["time", "offset", "type", "subject", "event"] : ["time", "type", "subject", "event"], rows: lines.map((line) => texts(line, ":scope > span")) };
  const gauges = [...panel.querySelectorAll(".gauge")];
  if (gauges.length) return { columns: ["name", "value"], rows: gauges.map((gauge) => [clean(gauge.querySelector("span")), clean(gauge.querySelector("b"))]) };
  return { columns: ["text", "value"], rows: [...panel.querySelectorAll("li")].map((line) => [[...line.children].slice(0, -1).map(clean).join(" ") || clean(line), line.children.length > 1 ? clean(line.lastElementChild) : ""]) };
}

function texts(within: Element, selector: string): string[] {
  return [...within.querySelectorAll(selector)].map(clean);
}

/** The text of an element without what only its shape says. */
function clean(element: Element | null): string {
  if (!element) return "";
  const copy = element.cloneNode(true) as Element;
  for (const hidden of copy.querySelectorAll("[aria-hidden='true'], .sr")) hidden.remove();
  return (copy.textContent ?? "").replaceAll(/\s+/g, " ").trim();
}
