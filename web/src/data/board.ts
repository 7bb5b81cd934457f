// A dashboard from a definition: its panels as the service computed them, moved on by `dashboard.refreshed` events.

import { signal } from "@preact/signals";
import { fields } from "../format/sentence";
import { type Api, Refusal } from "./api";
import { applied, type Delta } from "./delta";
import type { LogEvent } from "./events";

export interface PanelData {
  panel_id: string;
  panel_type: string;
  title: string;
  unit: string;
  query: string;
  scale: number;
  limit?: number;
  description?: string;
  kind: string;
  width?: number;
  height?: number;
  value?: number | null;
  start?: number;
  step?: number;
  series?: Record<string, (number | null)[]>;
  columns?: string[];
  rows?: (string | number | null)[][];
  events?: LogEvent[];
  fault?: string;
  nodes?: { name: string; value?: number }[];
  links?: { source: string; target: string; value: number; label?: string }[];
}

interface BoardAnswer {
  title: string;
  faults: string[];
  position: number;
  revision: string | null;
  panels: PanelData[];
}

export class BoardStore {
  readonly panels = signal<readonly PanelData[]>([]);
  readonly title = signal("");
  readonly faults = signal<readonly string[]>([]);
  readonly state = signal<"loading" | "ready" | "failed">("loading");
  readonly error = signal("");
  /** Whether asking again may help: it failed, and not because there is no such dashboard. */
  again = false;
  revision: string | null = null;
  position = 0;

  constructor(readonly name: string, private readonly api: Api, private readonly changed: () => void) {}

  /** Ask for the whole. */
  async load(): Promise<void> {
    try {
      const path = `/dashboards/${encodeURIComponent(this.name)}/data`;
      const answer = await (this.state.value === "loading" ? this.api.first<BoardAnswer>(path) : this.api.get<BoardAnswer>(path));
      this.title.value = answer.title;
      this.faults.value = answer.faults;
      this.set(answer.panels, answer.revision, answer.position);
      this.state.value = "ready";
    } catch (error) {
      this.state.value = this.panels.value.length ? "ready" : "failed";
      this.again = !(error instanceof Refusal && error.absent);
      this.error.value = (error as Error).message;
    }
  }

  /** Take a `dashboard.refreshed` event; one that rests on a state we do not have is made good by asking for the whole. */
  take(event: LogEvent): void {
    const data = fields(event.data);
    const revision = String(data["revision"] ?? "");
    if (this.state.value !== "ready" || (revision === this.revision && data["mode"] !== "full")) return;
    const panels = this.moved(data);
    if (typeof data["title"] === "string") this.title.value = data["title"];
    if (Array.isArray(data["faults"])) this.faults.value = data["faults"].map(String);
    if (panels) this.set(panels, revision, Number(data["position"] ?? 0));
    else void this.load();
  }

  private moved(data: Readonly<Record<string, unknown>>): readonly PanelData[] | null {
    const panels = data["panels"] as PanelData[] | undefined;
    if (data["mode"] === "full") return panels ?? null;
    if (data["base"] !== this.revision) return null;
    if (data["mode"] === "incremental") return replaced(this.panels.value, panels ?? []);
    try {
      return changedBy(this.panels.value, (data["delta"] ?? {}) as Record<string, Delta>);
    } catch {
      return null;
    }
  }

  private set(panels: readonly PanelData[], revision: string | null, position: number): void {
    this.panels.value = panels;
    this.revision = revision;
    this.position = position;
    this.changed();
  }
}

function replaced(panels: readonly PanelData[], by: readonly PanelData[]): PanelData[] {
  const news = new Map(by.map((panel) => [panel.panel_id, panel]));
  return panels.map((panel) => news.get(panel.panel_id) ?? panel);
}

function changedBy(panels: readonly PanelData[], deltas: Record<string, Delta>): PanelData[] {
  return panels.map((panel) => {
    const delta = deltas[panel.panel_id];
    return delta ? (applied(panel, delta) as PanelData) : panel;
  });
}
