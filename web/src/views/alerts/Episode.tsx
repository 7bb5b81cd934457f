// One episode: the value and its limit, what was decided about it and why, the rule, what somebody can do.

import { useState } from "preact/hooks";
import { useApp, usePulse } from "../../frame/context";
import { Dialog } from "../../frame/Dialogs";
import { writeAddress } from "../../frame/view";
import { exact } from "../../format/number";
import { age, duration, second, since } from "../../format/time";
import { Mark } from "../../panels/Mark";
import { acknowledge, remember, silence, who } from "../../data/actions";
import { alertWords, measured } from "../../format/alert";
import { valueNow } from "../../panels/severity";
import { Curve } from "./Curve";
import type { Entry, Rule } from "./model";
import { Why } from "./Why";

export function Episode({ entry, rule, before, done }: { entry: Entry; rule: Rule | undefined; before: readonly Entry[]; done: () => void }) {
  const app = useApp();
  const [silencing, setSilencing] = useState(false);
  const live = entry.state === "firing";
  const away = app.link.state.value !== "open";
  usePulse(() => Math.floor(app.moment.now() / 2));
  const { title, limit } = alertWords(entry, app.metrics.units, live ? valueNow(app, entry) : Number.NaN, entry.state === "ended");
  return (
    <>
      <div class="episode-head">
        <button type="button" class="button bare back" onClick={() => writeAddress({ episode: null })}>
          ‹ Alerts
        </button>
        <h2>
          <Mark of={entry.state === "ended" ? "ended" : entry.priority} /> {title}
        </h2>
        <span class="do">
          {live ? <button type="button" class="button acts" disabled={away} data-key="silence" onClick={() => setSilencing(true)}>Silence</button> : null}
          {live && !entry.by ? <button type="button" class="button main acts" disabled={away} data-key="acknowledge" onClick={() => void acknowledge(app, entry.episode)}>Acknowledge</button> : null}
        </span>
      </div>
      <p class="lead">{limit ? `${limit.charAt(0).toUpperCase()}${limit.slice(1)}. ` : ""}{lead(entry, app.moment.now())}</p>
      <Curve entry={entry} apart={rule?.by !== undefined} />
      <div class="episode-foot">
        <Why entry={entry} />
        <RuleText entry={entry} rule={rule} before={before} />
      </div>
      {silencing ? <SilenceForm entry={entry} close={() => (setSilencing(false), done())} /> : null}
    </>
  );
}

function lead(entry: Entry, now: number): string {
  const begun = `It fires since ${second(entry.since)}`;
  if (entry.state === "ended") return `It fired at ${second(entry.since)} and ended at ${second(entry.end ?? now)}, after ${duration(Math.round((entry.end ?? now) - entry.since))}.${entry.by ? ` ${entry.by} acknowledged it.` : ""}`;
  if (entry.state === "pending") return `The condition is true since ${second(entry.since)}.`;
  return entry.by ? `${begun}. ${entry.by} acknowledged it.` : `${begun}. Nobody has acknowledged it.`;
}

function RuleText({ entry, rule, before }: { entry: Entry; rule: Rule | undefined; before: readonly Entry[] }) {
  const app = useApp();
  const rows: [string, string][] = [["name", entry.rule], ["condition", entry.condition], ...(rule?.for ? ([["for", rule.for]] as [string, string][]) : []), ["channel", rule?.channel ?? ""], ["priority", entry.priority], ["health", rule?.health ?? ""]];
  const values = Object.entries(entry.now);
  return (
    <section aria-label="Rule">
      <div class="panel-head">
        <h3>Rule</h3>
      </div>
      <dl class="rule mono">
        {rows.filter(([, value]) => value).flatMap(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`}>{value}</dd>])}
      </dl>
      {values.length ? (
        <>
          <div class="panel-head" style={{ marginTop: "14px" }}>
            <h3>Behind the value</h3>
          </div>
          <dl class="rule">
            {values.flatMap(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name} is`} class="num">{value === null ? "–" : measured(name, value, app.metrics.units)}</dd>])}
          </dl>
        </>
      ) : null}
      <div class="panel-head" style={{ marginTop: "14px" }}>
        <h3>Before</h3>
      </div>
      <p class="small">{beforeWords(before, app.moment.now())}</p>
    </section>
  );
}

/** How often it was, and how the last time went. */
function beforeWords(before: readonly Entry[], now: number): string {
  const [last] = before;
  if (!last) return "It has not fired before, as far as the log was looked through.";
  const took = duration(Math.round((last.end ?? last.since) - last.since));
  return `${exact(before.length)} ${before.length === 1 ? "episode" : "episodes"} before. The last one ended ${agoWords(last.end ?? last.since, now)} after ${took}${last.by ? `; ${last.by} acknowledged it` : ", by itself"}.`;
}

function agoWords(at: number, now: number): string {
  return now - at < 3600 ? `${age(now - at)} ago` : `at ${since(at, now)}`;
}

const SPANS: readonly (readonly [string, number])[] = [["30 minutes", 1800], ["2 hours", 7200], ["8 hours", 28800], ["1 day", 86400]];

function SilenceForm({ entry, close }: { entry: Entry; close: () => void }) {
  const app = useApp();
  const [seconds, setSeconds] = useState(7200);
  const [name, setName] = useState(who());
  const [comment, setComment] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    remember(name);
    const matchers = [{ name: "alertname", value: entry.rule, isRegex: false, isEqual: true }];
    if (await silence(app, matchers, seconds, comment || `from the alerts page: ${entry.summary}`)) close();
  };
  return (
    <Dialog title={`Silence ${entry.rule}`} close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <p class="small">It still shows here; nobody is told until the silence ends.</p>
        <label>
          For how long
          <select class="field" value={seconds} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
            {SPANS.map(([words, span]) => <option key={span} value={span}>{words}</option>)}
          </select>
        </label>
        <label>
          Your name
          <input class="field" value={name} required maxLength={100} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          Why
          <input class="field" value={comment} maxLength={1000} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <div class="buttons">
          <button type="button" class="button" onClick={close}>Cancel</button>
          <button type="submit" class="button main">Silence</button>
        </div>
      </form>
    </Dialog>
  );
}
