// An event in one line: what it says, in words, from the fields that its type has. Everything is text; nothing is trusted.

import { alertWords, type Units } from "./alert";
import { duration } from "./time";
import { bytes, exact, money, shortText, significant } from "./number";

export type Fields = Readonly<Record<string, unknown>>;

/** The sentence of an event. Unknown types show their first fields. `units`: of metrics, by name. */
export function sentence(type: string, data: Fields, units: Units = {}): string {
  const words = KNOWN[type]?.(data, units);
  return (words ?? general(data)).filter(Boolean).join(", ");
}

/** Who an event is about. */
export function subject(event: { subject?: string | null; source?: string; data?: unknown }): string {
  const data = fields(event.data);
  return event.subject || text(data["agent"]) || text(data["from"]) || text(data["model"]) || (event.source ?? "");
}

export function fields(data: unknown): Fields {
  return typeof data === "object" && data !== null && !Array.isArray(data) ? (data as Fields) : {};
}

const KNOWN: Record<string, (data: Fields, units: Units) => string[]> = {
  "llm.request.completed": (d) => [text(d["model"]), tokens(d), ms(d["latency_ms"] ?? d["duration_ms"])],
  "llm.request.failed": (d) => [text(d["model"]), `${text(d["error"] ?? d["error_class"]) || "failed"}${after(d["latency_ms"] ?? d["duration_ms"])}`],
  "memory.tier.access": (d) => (d["hit"] === undefined ? lookUp(d) : [`${tierName(text(d["tier"]))} ${d["hit"] === false ? "miss" : "hit"}${within(d["latency_ms"])}`, count(d["items_retrieved"], "item")]),
  "knowledge.miss": (d) => [text(d["query"]) ? `no item for “${text(d["query"])}”` : "nothing found"],
  "knowledge.access": (d) => [text(d["item"]), text(d["tier"]), ms(d["latency_ms"])],
  "tool.call.completed": (d) => [`${text(d["tool"])}${within(d["latency_ms"] ?? d["duration_ms"])}`],
  "tool.call.failed": (d) => [text(d["tool"]), text(d["error"]) || "failed"],
  "agent.handoff": (d) => [`to ${text(d["to"])}`, text(d["kind"]), text(d["outcome"]) === "failure" ? "failed" : ""],
  "agent.started": (d) => ["started", text(d["task"])],
  "agent.completed": (d) => [`completed${within(d["duration_ms"])}`, count(d["total_tokens"], "token")],
  "agent.failed": (d) => ["failed", text(d["error"])],
  "cost.recorded": (d) => [cost(d), count(d["total_tokens"], "token"), text(d["model"])],
  "alert.firing": (d, units) => alert(d, units, false),
  "alert.resolved": (d, units) => alert(d, units, true),
  "alert.pending": (d) => [text(d["rule"]), text(d["condition"]) && `${text(d["condition"])} is true`],
  "alert.acknowledged": (d) => [text(d["rule"]), text(d["by"]) ? `acknowledged by ${text(d["by"])}` : "acknowledged", text(d["comment"])],
  "notification.message": (d) => [text(d["title"]), text(d["message"])],
  "business.metric": (d) => [`${text(d["name"])} ${typeof d["value"] === "number" ? significant(d["value"]) : ""} ${d["unit"] === "1" ? "" : text(d["unit"])}`.trim()],
  "agent.registered": (d) => [Array.isArray(d["capabilities"]) ? d["capabilities"].map(text).join(", ") : ""],
  "hypothesis.formed": (d) => [text(d["hypothesis"]), text(d["domain"])],
  "host.memory": (d) => [ofAll(d)],
  "host.disk": (d) => [ofAll(d), text(d["path"])],
  "host.network": (d) => [rate(d["received_bytes_per_second"], "in"), rate(d["sent_bytes_per_second"], "out")],
  "host.cpu": (d) => [typeof d["percent"] === "number" ? `${exact(d["percent"], 1)}%` : ""],
};

/** "Latency is 2.81 s for gpt-4.1, limit 2.60 s". */
function alert(data: Fields, units: Units, over: boolean): string[] {
  const values = fields(data["values"]) as Record<string, number | null>;
  const { title, limit } = alertWords({ condition: text(data["condition"]), summary: text(data["summary"]) || text(data["rule"]), values }, units, Number.NaN, over);
  return [title, over ? "" : limit];
}

/** "61.0% of 68.7 GB" */
function ofAll(data: Fields): string {
  if (typeof data["percent"] !== "number") return "";
  return `${exact(data["percent"], 1)}%${typeof data["total_bytes"] === "number" ? ` of ${bytes(data["total_bytes"])}` : ""}`;
}

function rate(value: unknown, way: string): string {
  return typeof value === "number" ? `${bytes(value)}/s ${way}` : "";
}

/** A whole look-up in one event: the tier that it ended in, whether that had something, the seconds of all that were asked. */
function lookUp(data: Fields): string[] {
  const took = Object.values(fields(data["latency_by_tier"])).filter((each): each is number => typeof each === "number");
  const time = took.length ? within(took.reduce((sum, each) => sum + each, 0) * 1000) : within(data["latency_ms"]);
  const tier = tierName(text(data["tier_accessed"] ?? data["tier"]));
  return [`${tier} ${data["items_retrieved"] === 0 ? "miss" : "hit"}${time}`.trim(), count(data["items_retrieved"], "item")];
}

const TIERS: Record<string, string> = {
  redis: "Redis", redis_immediate: "Redis", postgresql: "PostgreSQL", postgres: "PostgreSQL", postgresql_structured: "PostgreSQL",
  chromadb: "ChromaDB", chroma: "ChromaDB", chromadb_semantic: "ChromaDB",
};

/** A memory tier as people write it. */
export function tierName(name: string): string {
  return TIERS[name] ?? name;
}

function general(data: Fields): string[] {
  const entries = Object.entries(data).filter(([, value]) => typeof value !== "object");
  return entries.slice(0, 4).map(([name, value]) => `${name} ${typeof value === "number" ? shortText(value) : text(value)}`);
}

function tokens(data: Fields): string {
  const input = data["input_tokens"];
  const output = data["output_tokens"];
  if (typeof input !== "number" && typeof output !== "number") return "";
  return `${exact((Number(input) || 0) + (Number(output) || 0))} tokens`;
}

function cost(data: Fields): string {
  const usd = data["amount_usd"];
  return typeof usd === "number" ? `$${money(usd)}` : "";
}

function ms(value: unknown): string {
  return typeof value === "number" ? duration(value / 1000) : "";
}

function within(value: unknown): string {
  return typeof value === "number" ? ` in ${duration(value / 1000)}` : "";
}

function after(value: unknown): string {
  return typeof value === "number" ? ` after ${duration(value / 1000)}` : "";
}

function count(value: unknown, word: string): string {
  return typeof value === "number" ? `${exact(value)} ${word}${value === 1 ? "" : "s"}` : "";
}

/** Any scalar as text, of bounded length. */
export function text(value: unknown): string {
  if (value === null || value === undefined || typeof value === "object") return "";
  const words = String(value);
  return words.length > 200 ? `${words.slice(0, 199)}…` : words;
}
