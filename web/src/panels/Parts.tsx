// The parts of this service and how each is, as /health says.

import type { ComponentChildren } from "preact";
import { useResource } from "../frame/context";
import { Mark } from "./Mark";

interface Health {
  parts: Record<string, { status: string; reason?: string }>;
}

/** `children`: further lines of the list. */
export function Parts({ children }: { children?: ComponentChildren }) {
  const { data } = useResource<Health>("/health", 5);
  return (
    <ul class="ready">
      {Object.entries(data?.parts ?? {}).map(([name, { status, reason }]) => (
        <li key={name}>
          <Mark of={status === "ok" ? "connected" : "slow"} label={status} />
          <span class="name">{name}</span>
          <span class="quiet small">{reason ?? ""}</span>
          <span class="quiet small">{status}</span>
        </li>
      ))}
      {children}
    </ul>
  );
}
