// A panel: one line of head, then what it shows. Its menu has everything else: full screen, table, picture, CSV, link.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { copyLink, saveCsv, savePicture } from "./export";
import { seen } from "./seen";
import { TableBehind, type Tabular } from "./TableBehind";

interface Props {
  title: string;
  /** Unit or scope, quiet, behind the title. */
  sub?: string | undefined;
  right?: ComponentChildren;
  /** Columns of the twelve that it takes. */
  span?: number;
  /** What is behind it, for the table and for CSV. */
  table?: (() => Tabular) | undefined;
  children: ComponentChildren;
  class?: string;
}

export function Panel({ title, sub, right, span = 12, table, children, class: extra = "" }: Props) {
  const element = useRef<HTMLElement>(null);
  const [full, setFull] = useState(false);
  const [asTable, setAsTable] = useState(false);
  const behind = () => (table ? table() : seen(element.current as HTMLElement));
  const csv = () => saveCsv(title, behind());
  const picture = () => void savePicture(title, element.current as HTMLElement, behind);
  useEscape(full, () => setFull(false));
  useAsked(element, { full: () => setFull(true), table: () => table && (setAsTable((is) => !is), element.current?.focus()), csv, link: copyLink, picture });
  return (
    <section class={`panel ${full ? "full" : ""} ${extra}`} style={{ gridColumn: `span ${span}` }} ref={element} tabIndex={-1} aria-label={title} data-panel={title}>
      <div class="panel-head">
        <h3>{title}</h3>
        {sub ? <span class="sub">{sub}</span> : null}
        {right ? <span class="right">{right}</span> : null}
        <Menu
          title={title}
          entries={[
            [full ? "Close" : "Full screen", "f", () => setFull(!full)],
            ...(table ? ([[asTable ? "Chart" : "Table", "t", () => setAsTable(!asTable)]] as Entry[]) : []),
            ["CSV", "e", csv],
            ["Picture", "p", picture],
            ["Copy link", "c", copyLink],
          ]}
        />
      </div>
      {asTable && table ? <TableBehind of={table} /> : children}
    </section>
  );
}

type Entry = [name: string, key: string, act: () => void];

function Menu({ title, entries }: { title: string; entries: Entry[] }) {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEscape(open, () => setOpen(false));
  useEffect(() => {
    if (!open) return;
    place.current?.querySelector("button")?.focus();
    const away = (event: Event) => place.current?.contains(event.target as Node) || setOpen(false);
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);
  return (
    <>
      <button type="button" class="menu-button" aria-label={`${title}: more`} aria-expanded={open} onClick={() => setOpen(!open)}>
        ⋯
      </button>
      {open ? (
        <div class="pop menu" ref={place}>
          {entries.map(([name, key, act]) => (
            <button type="button" key={name} onClick={() => (setOpen(false), act())}>
              {name}
              {key ? <kbd>{key}</kbd> : null}
            </button>
          ))}
        </div>
      ) : null}
    </>
  );
}

export function useEscape(active: boolean, close: () => void): void {
  // Before it is painted: whoever sees it can close it.
  useLayoutEffect(() => {
    if (!active) return;
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    };
    addEventListener("keydown", pressed, true);
    return () => removeEventListener("keydown", pressed, true);
  }, [active]);
}

/** Keys act on the panel under the pointer or with the focus: the frame sends it an event of this name. */
function useAsked(element: { current: HTMLElement | null }, acts: Record<string, () => unknown>): void {
  const newest = useRef(acts);
  newest.current = acts;
  useEffect(() => {
    const panel = element.current as HTMLElement;
    const asked = (event: Event) => newest.current[(event as CustomEvent<string>).detail]?.();
    panel.addEventListener("panel", asked);
    return () => panel.removeEventListener("panel", asked);
  }, []);
}
