// What leaves the page: CSV, pictures, links.

import { pictureOf, tablePicture } from "./picture";
import type { Tabular } from "./TableBehind";

/** Text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers. */
export function csvCell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r＝＋－＠]/.test(value) ? `'${value}` : value;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv({ columns, rows }: Tabular): string {
  return `${[columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

export function saveCsv(title: string, table: Tabular): void {
  save(`${fileName(title)}.csv`, new Blob([csv(table)], { type: "text/csv" }));
}

/** A panel as PNG: its title, its canvases and drawings where they stand, and the time; what is text as a table. */
export async function savePicture(title: string, panel: HTMLElement, behind: () => Tabular): Promise<void> {
  const picture = (await pictureOf(title, panel)) ?? tablePicture(title, panel, behind());
  picture?.toBlob((content) => content && save(`${fileName(title)}.png`, content));
}

export function copyLink(): void {
  void navigator.clipboard?.writeText(location.href);
}

function fileName(title: string): string {
  return `${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}`;
}

function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
