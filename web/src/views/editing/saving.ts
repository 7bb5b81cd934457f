// Reading and saving a definition.

import { signal } from "@preact/signals";
import type { Api } from "../../data/api";
import { Refusal } from "../../data/api";
import { type Definition, understood, written } from "../../data/draft";

/** A draft. `text` is what would be saved: as it was read or imported, until something is changed. */
export class Draft {
  readonly definition = signal<Definition | null>(null);
  readonly faults = signal<readonly string[]>([]);
  readonly said = signal("");
  readonly changed = signal(false);
  private text = "";
  private tag = "";

  constructor(readonly name: string, private readonly api: Api) {}

  private get path(): string {
    return `/dashboards/${encodeURIComponent(this.name)}/definition`;
  }

  async read(): Promise<void> {
    await this.tried(async () => {
      const { text, tag } = await this.api.text("GET", this.path);
      this.tag = tag;
      this.take(text, false);
    });
  }

  set(definition: Definition): void {
    this.definition.value = definition;
    this.text = written(definition);
    this.changed.value = true;
    this.faults.value = [];
  }

  /** Take a file in the place of the draft; it is saved when it is asked for. */
  import(text: string): void {
    void this.tried(async () => this.take(text, true));
  }

  /** Whether it is in use now. */
  async save(): Promise<boolean> {
    return this.tried(() => this.api.text("PUT", this.path, this.text, this.tag));
  }

  private take(text: string, changed: boolean): void {
    this.definition.value = understood(text);
    this.text = text;
    this.changed.value = changed;
    this.faults.value = [];
  }

  private async tried(act: () => Promise<unknown>): Promise<boolean> {
    this.said.value = "";
    this.faults.value = [];
    try {
      await act();
      return true;
    } catch (error) {
      this.tell(error as Error);
      return false;
    }
  }

  private tell(error: Error): void {
    if (error instanceof Refusal && error.status === 403) this.said.value = "You may look, not change. Saving needs the scope dashboards:write; an operator can grant it.";
    else if (error instanceof Refusal && Array.isArray(error.more["faults"])) this.faults.value = error.more["faults"].map(String);
    else this.said.value = error instanceof SyntaxError ? `${this.name}.json is not valid JSON: ${error.message}` : sentence(error);
  }
}

function sentence(error: Error): string {
  return error instanceof Refusal && error.hint ? `${error.message}: ${error.hint}` : error.message;
}
