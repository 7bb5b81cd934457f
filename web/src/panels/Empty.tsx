// Before the first event: how to send one, what is ready, what appears when.

import { useState } from "preact/hooks";
import { useApp } from "../frame/context";
import { exact } from "../format/number";
import { commands, target } from "./commands";
import { Mark } from "./Mark";
import { Parts } from "./Parts";

export function Empty() {
  const [way, setWay] = useState("curl");
  const ways = commands(target(useApp().boot.events_in, location.hostname));
  const text = ways[way] as string;
  return (
    <div class="row">
      <section class="empty" style={{ gridColumn: "span 8" }}>
        <h2>Waiting for the first event</h2>
        <p>Send one and it appears here at once. Nothing to reload, nothing to set up first.</p>
        <div class="tabs">
          <div role="tablist" aria-label="Ways to send one">
            {Object.keys(ways).map((name) => (
            <button type="button" role="tab" key={name} aria-selected={name === way} onClick={() => setWay(name)}>
              {name}
            </button>
          ))}
          </div>
          <button type="button" class="copy" onClick={() => void navigator.clipboard?.writeText(text)}>
            Copy
          </button>
        </div>
        <pre tabIndex={0}>{text}</pre>
        <p class="quiet small">
          A 202 means the event is stored. Or start the service with sample traffic: <code class="name">make run ARGS='--replay examples/azure-llm-trace-sample.csv --speed 5'</code>
        </p>
      </section>
      <Ready />
    </div>
  );
}

function Ready() {
  const app = useApp();
  return (
    <section style={{ gridColumn: "span 4" }} aria-label="What is ready">
      <div class="panel-head">
        <h3>What is ready</h3>
      </div>
      <Parts>
        <li>
          <Mark of="connected" label="connected" />
          <span class="name">This page</span>
          <span class="mono">{app.link.name}</span>
          <span class="quiet small">{exact(app.head)} events</span>
        </li>
      </Parts>
      <div class="panel-head" style={{ marginTop: "18px" }}>
        <h3>What you will see</h3>
      </div>
      <p class="small">Rates, errors and latencies from the first request on. A forecast of tokens after some hours, one of money with its band after seven days.</p>
    </section>
  );
}
