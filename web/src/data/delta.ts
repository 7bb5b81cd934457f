// The difference between two states of a panel, as `dashboard.refreshed` carries it (event/dashboards/delta.py).

export interface Delta {
  set?: Record<string, unknown>;
  remove?: string[];
  extend?: Record<string, { drop: number; add: unknown[] }>;
}

type Owner = Record<string, unknown>;

/** The new state; `base` stays as it was. Throws when the delta was made of another base. */
export function applied(base: object, delta: Delta): object {
  const result = structuredClone(base) as Owner;
  for (const pointer of delta.remove ?? []) {
    const [owner, key] = find(result, pointer);
    if (!Object.hasOwn(owner, key)) throw new Error(`nothing at ${pointer}`);
    delete owner[key];
  }
  for (const [pointer, value] of Object.entries(delta.set ?? {})) {
    const [owner, key] = find(result, pointer);
    owner[key] = value;
  }
  for (const [pointer, { drop, add }] of Object.entries(delta.extend ?? {})) {
    const [owner, key] = find(result, pointer);
    const list = owner[key];
    if (!Array.isArray(list)) throw new Error(`no list at ${pointer}`);
    owner[key] = [...(list as unknown[]).slice(drop), ...add];
  }
  return result;
}

function find(document: Owner, pointer: string): [Owner, string] {
  const parts = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const key = parts.pop() ?? "";
  let owner: unknown = document;
  for (const name of parts) owner = Object.hasOwn(owner as Owner, name) ? (owner as Owner)[name] : undefined;
  if (typeof owner !== "object" || owner === null || key === "__proto__") throw new Error(`nothing at ${pointer}`);
  return [owner as Owner, key];
}
