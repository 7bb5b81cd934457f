// One source in detail: what is wrong in words that lead somewhere, how it is tried again, a try at once, its settings.

import { useState } from "preact/hooks";
import { useApp } from "../../frame/context";
import { exact, significant } from "../../format/number";
import { age, parsed, second, since } from "../../format/time";
import { fault } from "./faults";
import { change, refused, retry, type Settings, type Source, words } from "./model";

export function Chosen({ row, now, ask }: { row: Source; now: number; ask: () => void }) {
  const app = useApp();
  const [setting, setSetting] = useState(false);
  const cut = app.link.state.value !== "open";
  const then = (done: boolean) => (done && setSetting(false), ask());
  return (
    <div class="source-open" role="region" aria-label={row.name}>
      <Said row={row} now={now} />
      {setting ? (
        <SettingsForm of={row.settings} close={() => setSetting(false)} save={(settings) => void change(app, row.name, settings).then(then)} />
      ) : (
        <>
          <Waits row={row} now={now} />
          <div class="do">
            <button type="button" class="button acts" disabled={cut} onClick={() => setSetting(true)}>
              Settings
            </button>
            {row.settings.live ? (
              <button type="button" class="button main acts" disabled={cut} onClick={() => void retry(app, row.name).then(then)}>
                Try now
              </button>
            ) : (
              <button type="button" class="button main acts" disabled={cut} onClick={() => void change(app, row.name, { live: true }).then(then)}>
                Switch on
              </button>
            )}
          </div>
        </>
      )}
    </div>
  );
}

function Said({ row, now }: { row: Source; now: number }) {
  const { said, does } = lead(row);
  const old = row.stale && row.last_answer ? ` The last values are from ${second(parsed(row.last_answer))}; they are marked as old.` : "";
  const failed = row.failures ? `, ${exact(row.failures)} failures in all` : "";
  return (
    <div>
      <p class="wrap">
        <b>{said}</b> {does}
        {old}
      </p>
      <p class="small quiet wrap">
        {capital(words(row))} {now - parsed(row.since) < 3600 ? `for ${age(now - parsed(row.since))}` : `since ${since(parsed(row.since), now)}`}
        {failed}.{row.state === "ok" || !row.reason ? "" : ` ${row.reason}`}
      </p>
      {refused.value ? <p class="fault-box" role="alert">{refused.value}</p> : null}
    </div>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lead(row: Source): { said: string; does: string } {
  if (row.state === "ok") return { said: `${row.name} answers.`, does: row.reason };
  if (row.state === "starting") return { said: `${row.name} has not answered yet.`, does: "" };
  if (row.state === "off" && !row.settings.live) return { said: `${row.name} is switched off.`, does: "Nobody asks it, and no alert is told about it." };
  if (row.state === "off") return { said: `${row.name} was given up.`, does: "Try now begins anew." };
  return fault(row.reason);
}

function Waits({ row, now }: { row: Source; now: number }) {
  const { first_pause: first, longest_pause: longest, failures, tries } = row.settings;
  const next = row.next_try === null ? null : parsed(row.next_try) - now;
  return (
    <dl class="rule small">
      <dt>Waits between tries</dt>
      <dd>{first === longest ? `${significant(first)} s` : `${significant(first)} s, doubling to ${significant(longest)} s`}</dd>
      <dt>Away after</dt>
      <dd>{failures === 1 ? "1 failure" : `${exact(failures)} failures`}</dd>
      <dt>Gives up</dt>
      <dd>{tries ? `after ${exact(tries)} tries` : "never"}</dd>
      <dt>Next try</dt>
      <dd>{next === null ? "none" : next > 0 ? `in ${exact(Math.ceil(next))} s` : "now"}</dd>
    </dl>
  );
}

type Numbers = Omit<Settings, "live">;

const FIELDS: readonly (readonly [key: keyof Numbers, label: string, least: number, step: string])[] = [
  ["first_pause", "First pause, s", 0.05, "any"],
  ["longest_pause", "Longest pause, s", 0.05, "any"],
  ["failures", "Away after failures", 1, "1"],
  ["tries", "Gives up after, 0: never", 0, "1"],
];

function SettingsForm({ of, save, close }: { of: Settings; save: (settings: Numbers) => void; close: () => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    save(Object.fromEntries(FIELDS.map(([key]) => [key, Number(data.get(key))])) as unknown as Numbers);
  };
  return (
    <form class="source-settings" onSubmit={submit} aria-label="How it is tried again">
      {FIELDS.map(([key, label, least, step]) => (
        <label key={key}>
          {label}
          <input class="field" type="number" name={key} min={least} max={key === "tries" ? 100_000 : key === "failures" ? 1000 : 3600} step={step} required defaultValue={String(of[key])} />
        </label>
      ))}
      <span class="do">
        <button type="button" class="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="button main">
          Save
        </button>
      </span>
    </form>
  );
}
