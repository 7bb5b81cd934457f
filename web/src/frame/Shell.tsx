// The frame around every view.

import { alertWords } from "../format/alert";
import { computed, effect, untracked } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useApp } from "./context";
import { Feedback, Find, Keys, More } from "./Dialogs";
import { Head } from "./Head";
import { listen } from "./keys";
import { Notices } from "./Notices";
import { Bottom, Rail } from "./Rail";
import { Spine } from "./Spine";
import { go as goTo, readAddress, route, type View, writeAddress } from "./view";

type Floating = "" | "find" | "keys" | "more" | "feedback";

export function Shell({ views, board }: { views: readonly View[]; board: View }) {
  const app = useApp();
  const [floating, setFloating] = useState<Floating>("");
  const go = (href: string) => {
    setFloating("");
    goTo(href, app.boot.home, app.moment);
  };
  // Keys and links of the page work as soon as it can be seen.
  useLayoutEffect(() => listen(app, views, { go, find: () => setFloating("find"), help: () => setFloating("keys"), back: () => setFloating("") }), []);
  useLayoutEffect(() => follow(go, () => readAddress(app.boot.home, app.moment)), []);
  useEffect(() => effect(() => remember(app.moment.mode.value, app.moment.span.value, app.moment.fixed.value)), []);
  const look = useMemo(() => computed(() => (app.link.state.value === "lost" || app.staleFor.value ? "stale" : app.moment.mode.value === "past" ? "past" : "live")), []);
  const { view: id, dashboard } = route.value;
  const view = id === "dashboard" ? board : views.find((each) => each.id === id);
  const title = id === "dashboard" ? (app.boot.dashboards.find(([name]) => name === dashboard)?.[1] ?? "Not found") : (view?.title ?? "Not found");
  useTitle(title);
  const Body = view?.body;
  return (
    <div class={`shell ${route.value.query.has("wall") ? "wall" : ""}`}>
      <button type="button" class="skip button" onClick={() => document.querySelector("main")?.focus()}>Skip to the view</button>
      <Rail views={views} feedback={() => setFloating("feedback")} />
      <div class="page">
        <header class="top">
          <Head title={title} view={view} find={() => setFloating("find")} />
          <Spine />
        </header>
        <main class="body" tabIndex={-1}>
          <Notices />
          <div data-state={look.value} key={`${id} ${dashboard}`}>{Body ? <Body /> : <p class="panel-said">There is no view {id}. The rail has all of them.</p>}</div>
        </main>
      </div>
      <Bottom views={views} more={() => setFloating("more")} />
      {floating === "find" ? <Find views={views} go={go} close={() => setFloating("")} /> : null}
      {floating === "keys" ? <Keys close={() => setFloating("")} /> : null}
      {floating === "feedback" ? <Feedback close={() => setFloating("")} /> : null}
      {floating === "more" ? <More views={views} go={go} close={() => setFloating("")} find={() => setFloating("find")} feedback={() => setFloating("feedback")} /> : null}
      <Said />
    </div>
  );
}

function useTitle(title: string): void {
  const app = useApp();
  const firing = app.alerts.firing.value.length;
  useEffect(() => {
    document.title = `${firing ? `(${firing}) ` : ""}${title} · hxp`;
  }, [title, firing]);
}

/** Links within the page change the view, not the document. */
function follow(go: (href: string) => void, moved: () => void): () => void {
  const clicked = (event: MouseEvent): void => {
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || !/^\/($|view\/|dashboards\/[^/]+$)/.test(url.pathname)) return;
    event.preventDefault();
    go(url.pathname + url.search);
  };
  addEventListener("click", clicked);
  addEventListener("popstate", moved);
  return () => {
    removeEventListener("click", clicked);
    removeEventListener("popstate", moved);
  };
}

function remember(mode: string, span: number, fixed: number): void {
  untracked(() => writeAddress({ span: span === 3600 ? null : String(Math.round(span)), to: mode === "past" ? String(Math.round(fixed)) : null }));
}

/** Said once, politely: a critical alert begins or ends, the connection goes or comes back. */
function Said() {
  const app = useApp();
  const critical = app.alerts.firing.value.filter((alert) => alert.priority === "critical").map((alert) => alertWords(alert, app.metrics.units).title);
  const lost = app.link.state.value === "lost";
  const was = useRef(false);
  const back = was.current && app.link.state.value === "open";
  if (lost) was.current = true;
  const link = lost ? "Connection lost." : back ? "Connected again." : "";
  return (
    <p class="sr" role="status" aria-live="polite">
      {link} {critical.length ? `Critical: ${critical.join(". ")}` : ""}
    </p>
  );
}
