// Agents in a range that is over: what their requests were. Hand-offs and open tasks are not kept by time.

import { useApp } from "../../frame/context";
import { Panel } from "../../panels/Panel";
import { Table } from "../../panels/Table";
import { measuredColumns, measuredTable, nothingThen } from "../columns";
import { usePastMeasured } from "../measured";
import { rangeWords } from "../past";

export function Past({ selected, pick }: { selected: string | null; pick: (name: string) => void }) {
  const { moment } = useApp();
  const found = usePastMeasured("agent");
  const rows = [...(found?.rows ?? [])].sort((left, right) => left.name.localeCompare(right.name));
  return (
    <Panel title="Active agents" sub={found ? `with requests, ${rangeWords(found, moment.now())}` : ""} table={() => measuredTable("agent", rows)}>
      <Table label="Active agents" columns={measuredColumns("Agent", rows, true)} rows={rows} id={(row) => row.name} selected={selected} pick={(row) => pick(row.name)} nothing={nothingThen("Agents", found?.state, "No agent made requests in this time.")} />
    </Panel>
  );
}
