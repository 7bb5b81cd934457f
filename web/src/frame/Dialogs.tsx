// What floats above the page: find, the keys.

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { useApp, useResource } from "./context";
import { KEYS, letters, switchLetters } from "./keys";
import { Ranges } from "./Head";
import type { View } from "./view";
import { useEscape } from "../panels/Panel";
import { who } from "../data/actions";
import { exact } from "../format/number";
import { parsed, since } from "../format/time";
import { toggleTheme } from "../theme/theme";

export function Dialog({ title, close, children, wide = false }: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  useEscape(true, close);
  // Before the next key is pressed: what is typed belongs to the field.
  useLayoutEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current?.querySelector<HTMLElement>("input, select, textarea, button")?.focus();
    return () => before?.focus();
  }, []);
  return (
    <div class="veil" onPointerDown={(event) => event.target === event.currentTarget && close()}>
      <div class={wide ? "dialog wide" : "dialog"} role="dialog" aria-modal="true" aria-label={title} ref={box} onKeyDown={(event) => hold(event, box.current)}>
        <h2>{title}</h2>
        {children}
      </div>
    </div>
  );
}

/** Tab stays within the dialog. */
function hold(event: KeyboardEvent, box: HTMLElement | null): void {
  if (event.key !== "Tab" || !box) return;
  const all = [...box.querySelectorAll<HTMLElement>("input, select, textarea, button, a[href]")];
  const edge = event.shiftKey ? all[0] : all.at(-1);
  if (document.activeElement !== edge) return;
  event.preventDefault();
  (event.shiftKey ? all.at(-1) : all[0])?.focus();
}

interface Found {
  title: string;
  kind: string;
  href: string;
}

export function Find({ views, go, close }: { views: readonly View[]; go: (href: string) => void; close: () => void }) {
  const app = useApp();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const all = useRef<Found[] | null>(null);
  all.current ??= [
    ...views.map((view) => ({ title: view.title, kind: "view", href: view.id === "overview" ? "/" : `/view/${view.id}` })),
    ...app.boot.dashboards.map(([name, title]) => ({ title, kind: "dashboard", href: `/dashboards/${name}` })),
    ...app.channels().map((name) => ({ title: name, kind: "channel", href: `/view/streams?channel=${encodeURIComponent(name)}` })),
    ...app.metrics.groups("request_rate").map(({ labels }) => ({ title: labels["model"] ?? "", kind: "model", href: `/view/requests?model=${encodeURIComponent(labels["model"] ?? "")}` })),
  ];
  const words = text.toLowerCase();
  const found = all.current.filter(({ title, kind }) => `${title} ${kind}`.toLowerCase().includes(words)).slice(0, 12);
  if (/^\d+$/.test(text.replaceAll(",", ""))) found.unshift({ title: `Offset ${text}`, kind: "event", href: `/view/streams?offset=${text.replaceAll(",", "")}` });
  const chosen = found[Math.min(at, found.length - 1)];
  return (
    <Dialog title="Find" close={close}>
      <div class="find">
        <input class="field" type="text" placeholder="A view, model, channel, or an offset" value={text} aria-label="What to find" aria-controls="found" autocomplete="off"
          onInput={(event) => (setText(event.currentTarget.value), setAt(0))}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              setAt(Math.max(0, Math.min(found.length - 1, at + (event.key === "ArrowDown" ? 1 : -1))));
              event.preventDefault();
            } else if (event.key === "Enter" && chosen) go(chosen.href);
          }} />
        <ul role="listbox" id="found" aria-label="Found">
          {found.map((each) => (
            <li key={each.href} role="option" aria-selected={each === chosen} onClick={() => go(each.href)}>
              {each.title} <span>{each.kind}</span>
            </li>
          ))}
        </ul>
        {found.length ? null : <p class="panel-said">Nothing is named so.</p>}
      </div>
    </Dialog>
  );
}

export function Keys({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close} wide>
      <dl class="keys">
        {KEYS.map(([keys, what, then]) => (
          <div key={keys}>
            <dt>{keys.split(" ").flatMap((key, index) => [index && then ? <span class="then" key="then">then</span> : null, <kbd key={key}>{key}</kbd>])}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p style={{ marginTop: "14px" }}>
        <label class="switch-row">
          <input type="checkbox" checked={letters.value} onChange={(event) => switchLetters(event.currentTarget.checked)} /> Keys of one letter are on
        </label>
      </p>
      <div class="buttons">
        <button type="button" class="button" onClick={toggleTheme}>
          Dark or light
        </button>
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

/** What somebody wants to say about the page; stored as an event. */
export function Feedback({ close }: { close: () => void }) {
  const app = useApp();
  const [text, setText] = useState("");
  const [said, setSaid] = useState("");
  const given = useResource<{ feedback: { offset: number; time: string; data: Record<string, unknown> }[] }>("/feedback", 30);
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const { offset } = await app.api.post<{ offset: number }>("/feedback", { text, view: location.pathname, by: who() });
      setText("");
      setSaid(`Stored at offset ${exact(offset)}.`);
      given.ask();
    } catch (error) {
      setSaid((error as Error).message);
    }
  };
  return (
    <Dialog title="Feedback" close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          What would make this page better
          <textarea class="field" rows={4} maxLength={4000} required value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <p class="small" role="status">{said}</p>
        <div class="buttons">
          <button type="button" class="button" onClick={close}>Close</button>
          <button type="submit" class="button main">Send</button>
        </div>
      </form>
      <ul class="advice">
        {[...(given.data?.feedback ?? [])].reverse().slice(0, 5).map((each) => (
          <li key={each.offset}>
            <p>{String(each.data["text"] ?? "")}</p>
            <span class="quiet small">{since(parsed(each.time), app.moment.now())}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

/** What has no place on a narrow screen: every view, the time range, find, feedback, the theme. */
export function More({ views, go, close, find, feedback }: { views: readonly View[]; go: (href: string) => void; close: () => void; find: () => void; feedback: () => void }) {
  const app = useApp();
  const places = [...views.map((view): [string, string] => [view.id === "overview" ? "/" : `/view/${view.id}`, view.title]), ...app.boot.dashboards.map(([name, title]): [string, string] => [`/dashboards/${name}`, title])];
  return (
    <Dialog title="All views" close={close}>
      <Ranges />
      <div class="buttons more-buttons">
        <button type="button" class="button" onClick={find}>Find</button>
        <button type="button" class="button" onClick={feedback}>Feedback</button>
        <button type="button" class="button" onClick={toggleTheme}>Dark or light</button>
      </div>
      <ul class="find">
        {places.map(([href, title]) => (
          <li key={href}>
            <button type="button" class="button bare" style={{ width: "100%", justifyContent: "flex-start", minHeight: "44px" }} onClick={() => go(href)}>
              {title}
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
