// Events as they come from the streams.

export interface LogEvent {
  offset: number;
  id?: string;
  type: string;
  source: string;
  subject?: string | null;
  time?: string | null;
  data?: unknown;
}

export interface Snapshot {
  at: string;
  position?: number;
  tick_s?: number;
  metrics: Record<string, number | null>;
  units?: Record<string, string>;
  windows?: Record<string, Record<string, number | null>>;
  groups?: Record<string, Group[]>;
  events_total?: number;
}

export interface Group {
  labels: Record<string, string>;
  value: number | null;
}

/** Something that looks like an event; everything else of a stream is passed over. */
export function isEvent(value: unknown): value is LogEvent {
  if (typeof value !== "object" || value === null) return false;
  return typeof (value as LogEvent).type === "string";
}

export function isSnapshot(value: unknown): value is Snapshot {
  if (typeof value !== "object" || value === null) return false;
  const { at, metrics } = value as Snapshot;
  return typeof at === "string" && typeof metrics === "object" && metrics !== null && !Number.isNaN(Date.parse(at));
}

/** Whether a type is chosen by `llm.*`, `llm.request.failed` or `*`. */
export function matches(patterns: readonly string[], type: string): boolean {
  return patterns.some((each) => each === "*" || each === type || (each.endsWith(".*") && type.startsWith(each.slice(0, -1))));
}
