// Agents in a range that is over: what their requests were. Hand-offs and open tasks are not kept by time.

import { useApp } from "../../frame/context";
import { exact, significant } from "../../format/number";
import { Panel } from "../../panels/Panel";
import { type Column, Table } from "../../panels/Table";
import { type Measured, usePastMeasured } from "../measured";
import { rangeWords } from "../past";

const COLUMNS: readonly Column<Measured>[] = [
  { name: "Agent", cell: (row) => row.name },
  { name: "req/min", number: true, cell: (row) => significant(row.rate), class: () => "strong" },
  { name: "p95, s", number: true, cell: (row) => (row.latency === null ? "–" : exact(row.latency / 1000, 2)) },
  { name: "tokens/min", number: true, wide: true, cell: (row) => (row.tokens === null ? "–" : exact(Math.round(row.tokens))) },
  { name: "errors", number: true, cell: (row) => (row.errors === null ? "–" : `${exact(row.errors * 100, 1)}%`), class: (row) => ((row.errors ?? 0) >= 0.05 ? "crit" : "") },
];

const NOTHING = { loading: "–", ready: "No agent made requests in this time.", absent: "Agents are not kept by time here.", failed: "The service gives no answer about this time." };

export function Past({ selected, pick }: { selected: string | null; pick: (name: string) => void }) {
  const { moment } = useApp();
  const found = usePastMeasured("agent");
  const rows = [...(found?.rows ?? [])].sort((left, right) => left.name.localeCompare(right.name));
  const table = () => ({ columns: ["agent", "requests a minute", "p95 ms", "tokens a minute", "error rate"], rows: rows.map((row) => [row.name, row.rate, row.latency, row.tokens, row.errors]) });
  return (
    <Panel title="Active agents" sub={found ? `with requests, ${rangeWords(found, moment.now())}` : ""} table={table}>
      <Table label="Active agents" columns={COLUMNS} rows={rows} id={(row) => row.name} selected={selected} pick={(row) => pick(row.name)} nothing={NOTHING[found?.state ?? "loading"]} />
    </Panel>
  );
}
