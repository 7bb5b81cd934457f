// Navigation: at the left, on narrow screens at the bottom.

import { useApp } from "./context";
import { Icon } from "./icons";
import { route, type View } from "./view";
import type { Alert } from "../data/alerts";
import { bytes, exact } from "../format/number";

interface Place {
  href: string;
  title: string;
  icon: string;
  current: boolean;
  badge?: number;
  /** How bad the worst is that fires. */
  tone?: string;
}

export function Rail({ views, feedback }: { views: readonly View[]; feedback: () => void }) {
  const app = useApp();
  const groups = ["", "Platform", "Plumbing"] as const;
  return (
    <nav class="rail" aria-label="Views">
      <a class="brand" href="/">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path class="stem" d="M2 1h2v14H2z" />
          <path class="bars" d="M6 3h8v2H6zm0 4h5v2H6zm0 4h7v2H6z" />
        </svg>
        <b>hxp</b>
        <span class="node" title={app.boot.node}>
          {app.boot.node}
        </span>
      </a>
      {groups.map((group) => (
        <Group key={group} name={group} places={places(views, group, app.alerts.firing.value)} />
      ))}
      <Group name="Dashboards" places={dashboards(app.boot.dashboards)} />
      <Foot feedback={feedback} />
    </nav>
  );
}

function places(views: readonly View[], group: string, firing: readonly Alert[]): Place[] {
  return views.filter((view) => view.group === group).map((view) => ({
    href: view.id === "overview" ? "/" : `/view/${view.id}`,
    title: view.id === "overview" ? "Overview" : view.title,
    icon: view.icon,
    current: route.value.view === view.id,
    ...(view.id === "alerts" && firing.length ? { badge: firing.length, tone: toneOf(firing) } : {}),
  }));
}

function toneOf(firing: readonly Alert[]): string {
  return firing.some((alert) => alert.priority === "critical") ? "" : firing.some((alert) => alert.priority === "warning") ? "warn" : "quiet";
}

function dashboards(known: readonly (readonly [string, string])[]): Place[] {
  // The operational overview is the first view already.
  return known.filter(([name]) => name !== "operational_overview").map(([name, title]) => ({ href: `/dashboards/${name}`, title, icon: "board", current: route.value.dashboard === name }));
}

function Group({ name, places }: { name: string; places: readonly Place[] }) {
  if (!places.length) return null;
  return (
    <>
      {name ? <h2>{name}</h2> : null}
      {places.map((place) => (
        <Link key={place.href} place={place} />
      ))}
    </>
  );
}

function Link({ place }: { place: Place }) {
  const app = useApp();
  const calm = app.link.state.value !== "open";
  return (
    <a href={place.href} aria-current={place.current ? "page" : undefined} aria-label={place.badge ? `${place.title} ${exact(place.badge)} firing` : place.title}>
      <Icon of={place.icon} />
      <span>{place.title}</span>{" "}
      {place.badge ? <i class={`badge ${calm ? "quiet" : place.tone}`}>{exact(place.badge)}</i> : null}
    </a>
  );
}

function Foot({ feedback }: { feedback: () => void }) {
  const app = useApp();
  const log = app.log.value;
  const lost = app.link.state.value === "lost";
  return (
    <p class="foot">
      {lost ? `No connection to :${location.port || "80"}` : log ? (log.head ? `Log ${bytes(log.bytes)}` : "Log is empty") : "–"}
      <br />
      {log?.head ? `Kept from offset ${exact(log.first)}` : ""}
      <br />
      <button type="button" class="button bare" onClick={feedback}>
        Feedback
      </button>
    </p>
  );
}

/** The bottom bar of narrow screens: four places and the rest behind "More". */
/** Names where there is room for one word. */
const SHORT: Record<string, string> = { overview: "Overview", tokens: "Tokens" };

export function Bottom({ views, more }: { views: readonly View[]; more: () => void }) {
  const app = useApp();
  const chosen = ["overview", "alerts", "tokens", "agents"].map((id) => views.find((view) => view.id === id)).filter((view) => view !== undefined);
  return (
    <nav class="bottom" aria-label="Main views">
      {chosen.map((view) => (
        <a key={view.id} href={view.id === "overview" ? "/" : `/view/${view.id}`} aria-current={route.value.view === view.id ? "page" : undefined}>
          <Icon of={view.icon} />
          <span>{SHORT[view.id] ?? view.title}</span>
          {view.id === "alerts" && app.alerts.firing.value.length ? <i class={`badge ${app.link.state.value === "open" ? toneOf(app.alerts.firing.value) : "quiet"}`}>{exact(app.alerts.firing.value.length)}</i> : null}
        </a>
      ))}
      <button type="button" onClick={more}>
        <Icon of="more" />
        <span>More</span>
      </button>
    </nav>
  );
}
