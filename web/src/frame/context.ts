// How components reach what the page knows, and how they paint.

import { createContext } from "preact";
import { useContext, useEffect, useRef, useState } from "preact/hooks";
import type { App } from "../data/app";
import type { Answer, Resource } from "../data/resource";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("no app around this component");
  return app;
}

/** Call `paint` with each frame in which something changed; always the newest closure. */
export function usePaint(paint: () => void): void {
  const app = useApp();
  const newest = useRef(paint);
  newest.current = paint;
  useEffect(() => app.painter.add(() => newest.current()), [app]);
}

/** Render again when `version` changes, at most every `least` milliseconds. For tables, never for curves. */
export function usePulse(version: () => unknown, least = 1000): void {
  const [, render] = useState(0);
  const last = useRef({ at: 0, version: undefined as unknown });
  usePaint(() => {
    const now = performance.now();
    if (now - last.current.at < least) return;
    const next = version();
    if (Object.is(next, last.current.version)) return;
    last.current = { at: now, version: next };
    render((count) => count + 1);
  });
}

/** An answer of the service, asked for while the component is there. `every`: seconds. */
export function useResource<T>(path: string, every = 5): Answer<T> & { ask: () => void } {
  const app = useApp();
  const resource: Resource<T> = app.resource<T>(path, every);
  useEffect(() => resource.watch(), [resource]);
  return { ...resource.answer.value, ask: () => void resource.ask() };
}
