// Alerts: a list at the left, the chosen episode at the right, with why it fires and who was told.

import { useRef } from "preact/hooks";
import { useApp, usePulse, useResource } from "../../frame/context";
import { route, type View, writeAddress } from "../../frame/view";
import { alertWords, measured } from "../../format/alert";
import { exact, NONE } from "../../format/number";
import { clock, duration, full, parsed, since } from "../../format/time";
import { Mark } from "../../panels/Mark";
import { valueNow } from "../../panels/severity";
import { type Column, Table } from "../../panels/Table";
import { ended, type Entry, firing, pending, type Rule, type Silence, type Status } from "./model";
import { channelName } from "./deliveries";
import { Episode } from "./Episode";
import { endSilence, refusal } from "../../data/actions";
import { usePastRange } from "../past";

const MOST_ENDED = 40;
const EPISODES = ["alert.firing", "alert.resolved", "alert.acknowledged"];

function Alerts() {
  const app = useApp();
  const { data } = useResource<Status>("/notifications/status", 3);
  const silences = useResource<Silence[]>("/api/v2/silences", 10);
  const feed = app.feed("system_alerts", EPISODES);
  usePulse(() => feed.version * 1e6 + app.alerts.version + Math.floor(app.moment.now() / 5) + Object.keys(app.metrics.units).length * 1e12, 300);
  const fires = firing(app.alerts.firing.value, data);
  const waits = pending(data);
  const over = ended(feed.lines).slice(0, MOST_ENDED);
  const all = [...fires, ...waits, ...over];
  const asked = route.value.query.get("episode");
  const chosen = all.find((entry) => entry.episode === asked) ?? (asked ? null : all[0]) ?? null;
  const quiet = (silences.data ?? []).filter((each) => each.status.state !== "expired");
  return (
    <div class={`row alerts ${asked ? "one" : ""}`}>
      <div class="list" style={{ gridColumn: "span 4" }}>
        <Group title={usePastRange() ? "Firing now" : "Firing"} entries={fires} chosen={chosen} none="Nothing fires." />
        {waits.length ? <Group title="Pending" entries={waits} chosen={chosen} /> : null}
        <Silences silences={quiet} ask={silences.ask} />
        <Group title="History" entries={over} chosen={chosen} none="No alert has ended yet, as far back as the log was looked through." />
      </div>
      <div style={{ gridColumn: "span 8" }} class="episode">
        {refusal.value ? <p class="fault-box" role="alert">{refusal.value}</p> : null}
        {chosen ? <Episode entry={chosen} rule={data?.rules.find((rule) => rule.name === chosen.rule)} before={over.filter((each) => each.rule === chosen.rule && each.episode !== chosen.episode)} done={silences.ask} key={chosen.episode} /> : <Quiet asked={asked} status={data} />}
      </div>
    </div>
  );
}

function Group({ title, entries, chosen, none }: { title: string; entries: readonly Entry[]; chosen: Entry | null; none?: string }) {
  const app = useApp();
  return (
    <section aria-label={title}>
      <h2 class="group">
        {title} <span class="quiet">{exact(entries.length)}</span>
      </h2>
      {entries.length ? entries.map((entry) => <Line key={`${entry.episode} ${entry.state}`} entry={entry} told={alertWords(entry, app.metrics.units, entry.state === "ended" ? Number.NaN : valueNow(app, entry), entry.state === "ended").title} current={chosen?.episode === entry.episode} />) : none ? <p class="panel-said">{none}</p> : null}
    </section>
  );
}

function Line({ entry, told, current }: { entry: Entry; told: string; current: boolean }) {
  const app = useApp();
  const own = useRef<HTMLButtonElement>(null);
  const past = entry.state === "ended";
  return (
    <button type="button" class="alert-line" ref={own} data-row={entry.episode} tabIndex={0} aria-current={current ? "true" : undefined} onClick={() => writeAddress({ episode: entry.episode })}>
      <Mark of={past ? "ended" : entry.priority} />
      <span class="what">
        <span class={past ? "title past" : "title"}>{told}</span>
        <span class="small quiet">{about(entry)}</span>
      </span>
      <span class="quiet num" title={full(entry.end ?? entry.since)}>
        {since(entry.end ?? entry.since, app.moment.now())}
      </span>
    </button>
  );
}

function about(entry: Entry): string {
  if (entry.state === "ended") return `${entry.rule}, ${duration(Math.round((entry.end ?? entry.since) - entry.since))}${entry.by ? `, acknowledged by ${entry.by}` : ", cleared by itself"}`;
  return `${entry.rule}${entry.condition ? `, ${entry.condition}` : ""}${entry.by ? `, ${entry.by} is on it` : ""}`;
}

function Silences({ silences, ask }: { silences: readonly Silence[]; ask: () => void }) {
  const app = useApp();
  if (!silences.length) return null;
  return (
    <section aria-label="Silences">
      <h2 class="group">
        Silenced <span class="quiet">{exact(silences.length)}</span>
      </h2>
      {silences.map((each) => (
        <div class="alert-line" key={each.id}>
          <Mark of="silenced" />
          <span class="what">
            <span class="title">{each.matchers.map((matcher) => `${matcher.name}${matcher.isEqual ? "" : "!"}${matcher.isRegex ? "~" : "="}${matcher.value}`).join(", ")}</span>
            <span class="small quiet">
              by {each.createdBy} until {clock(parsed(each.endsAt), app.moment.now())}
            </span>
          </span>
          <button type="button" class="button bare acts" disabled={app.link.state.value !== "open"} onClick={() => void endSilence(app, each.id).then(ask)}>
            End
          </button>
        </div>
      ))}
    </section>
  );
}

const rulesWith = (units: Readonly<Record<string, string>>): readonly Column<Rule>[] => [
  { name: "Rule", cell: (rule) => rule.name },
  { name: "condition", cell: (rule) => <code>{rule.condition}</code>, class: () => "rest" },
  { name: "value now", number: true, cell: (rule) => Object.entries(rule.values).map(([name, value]) => (value === null ? NONE : measured(name, value, units))).join(", ") || NONE, class: () => "strong" },
  { name: "told", wide: true, cell: (rule) => channelName(rule.channel) },
  { name: "priority", wide: true, cell: (rule) => rule.priority, class: () => "far" },
  { name: "state", cell: (rule) => (rule.health === "no_data" ? "no value yet" : rule.state), class: (rule) => (rule.health === "ok" || rule.health === "no_data" ? "far" : "warn") },
];

function Quiet({ asked, status }: { asked: string | null; status: Status | null }) {
  const app = useApp();
  const broken = (status?.rules ?? []).filter((rule) => rule.health !== "ok" && rule.health !== "no_data");
  return (
    <section class="empty">
      <h2>{asked ? "This episode is not in sight" : "Nothing needs you"}</h2>
      <p>{asked ? "It ended longer ago than the log was looked through." : `${exact(status?.rules.length ?? 0)} rules are evaluated with each snapshot.`}</p>
      {broken.map((rule) => (
        <p class="fault-box" key={rule.name}>
          {rule.name}: {rule.health}
        </p>
      ))}
      {status?.rules.length ? <Table label="Rules" columns={rulesWith(app.metrics.units)} rows={status.rules} id={(rule) => rule.name} airy /> : null}
    </section>
  );
}

function Fact() {
  const app = useApp();
  const { data } = useResource<Status>("/notifications/status", 3);
  const count = app.alerts.firing.value.length;
  const silent = data?.silences.active ?? 0;
  const waits = pending(data).length;
  const now = usePastRange() ? " now" : "";
  return <>{count ? `${exact(count)} firing${now}` : `none firing${now}`}{waits ? `, ${exact(waits)} pending` : ""}{silent ? `, ${exact(silent)} silenced` : ""}</>;
}

export const alerts: View = { id: "alerts", title: "Alerts", group: "", icon: "bell", key: "a", body: Alerts, fact: Fact };
