// The form of one panel. What it asks for is asked of the service before it is taken, so that a fault stands at its field.

import { useState } from "preact/hooks";
import { Dialog } from "../../frame/Dialogs";
import { useApp } from "../../frame/context";
import type { PanelDefinition } from "../../data/draft";

const TYPES = ["graph", "stat", "table", "gauge", "heatmap", "flow", "network", "feed"];
const EXAMPLES: Record<string, string> = {
  graph: "metric:latency_p50,latency_p95[10m]", stat: "metric:latency_p95[10m]", table: "windows:latency*", gauge: "metric:memory_percent",
  heatmap: "metric:latency*[10m]", flow: "platform:memory", network: "platform:collaboration", feed: "events:llm.*[20]",
};

interface Props {
  panel: PanelDefinition;
  title: string;
  /** What the button says. */
  verb: string;
  take: (panel: PanelDefinition) => void;
  close: () => void;
}

export function PanelForm({ panel, title, verb, take, close }: Props) {
  const app = useApp();
  const [shown, setShown] = useState<Record<string, string>>(() => texts(panel));
  const [fault, setFault] = useState("");
  const field = (name: string) => ({ class: "field", name, value: shown[name] ?? "", onInput: (event: Event) => setShown({ ...shown, [name]: (event.currentTarget as HTMLInputElement).value }) });
  const type = shown["panel_type"] ?? "stat";
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await app.api.get(`/dashboards/query?${new URLSearchParams({ [type]: (shown["data_query"] ?? "").trim() })}`);
      take(made(panel, shown));
    } catch (error) {
      setFault((error as Error).message);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <form class="panel-form" onSubmit={(event) => void submit(event)}>
        <label class="wide">Title <input type="text" required maxLength={120} {...field("title")} /></label>
        <label>
          Type
          <select {...field("panel_type")}>{TYPES.map((each) => <option key={each}>{each}</option>)}</select>
        </label>
        <label class="wide">
          Query
          <input type="text" required spellcheck={false} autocomplete="off" placeholder={EXAMPLES[type]} {...field("data_query")} class="field mono" aria-invalid={fault !== ""} aria-describedby="query-fault" />
        </label>
        <p class="fault-box all" id="query-fault" role="status">{fault}</p>
        <label>Unit <input type="text" maxLength={16} {...field("unit")} /></label>
        <label>Factor <input type="number" step="any" {...field("scale")} /></label>
        <label>Limit <input type="number" step="any" {...field("limit")} /></label>
        <label>Columns of 12 <input type="number" min={2} max={12} {...field("width")} /></label>
        <label>Good for, seconds <input type="number" min={0} max={3600} {...field("refresh_interval")} /></label>
        <label class="all">What it means <input type="text" maxLength={200} {...field("description")} /></label>
        <div class="buttons all">
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button main">{verb}</button>
        </div>
      </form>
    </Dialog>
  );
}

const NUMBERS = ["scale", "limit", "width", "refresh_interval"];
const TEXTS = ["title", "unit", "description"];

function texts(panel: PanelDefinition): Record<string, string> {
  return Object.fromEntries(Object.entries(panel).map(([name, value]) => [name, String(value)]));
}

/** What is empty is not said; what the form does not know stays. */
function made(panel: PanelDefinition, shown: Record<string, string>): PanelDefinition {
  const result: Record<string, unknown> = { ...panel, panel_type: shown["panel_type"], data_query: (shown["data_query"] ?? "").trim() };
  for (const name of [...TEXTS, ...NUMBERS]) {
    const text = (shown[name] ?? "").trim();
    if (text === "") delete result[name];
    else result[name] = NUMBERS.includes(name) ? Number(text) : text;
  }
  return result as unknown as PanelDefinition;
}
