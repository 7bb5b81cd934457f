// What could be done better, in the operator's words, with the numbers that carry it.

import { useResource } from "../frame/context";
import { exact, money, percent, shortText, significant } from "../format/number";

export interface Recommendation {
  kind: string;
  text: string;
  [fact: string]: unknown;
}

interface Props {
  kinds: readonly string[];
  most?: number;
  /** Unix seconds: what was counted since yesterday becomes an amount a day. */
  now: number;
  /** What a day costs, for the share that could be saved. */
  daily?: number | null;
}

export function Recommendations({ kinds, most = 5, now, daily = null }: Props) {
  const { data, state } = useResource<{ recommendations: Recommendation[] }>("/api/v2/recommendations", 30);
  const found = (data?.recommendations ?? []).filter((each) => kinds.includes(each.kind)).map((each) => ({ ...advice(each), usd: savedDaily(each, now) }));
  found.sort((left, right) => (right.usd ?? -1) - (left.usd ?? -1));
  const shown = found.slice(0, most);
  if (!shown.length) return <p class="panel-said">{state === "loading" ? "–" : "Nothing stands out."}</p>;
  const sum = shown.reduce((all, each) => all + (each.usd ?? 0), 0);
  return (
    <ul class="advice">
      {shown.map((each) => (
        <li key={each.title}>
          <p>
            <b>{each.title}</b>
            <span class="small">{each.why}</span>
          </p>
          <b class="num">{each.usd === null ? each.instead : money(each.usd)}</b>
        </li>
      ))}
      {shown.length > 1 && sum ? (
        <li>
          <p>
            <span>
              All {exact(shown.length)}
              {daily ? `, ${percent(Math.round((sum / daily) * 100) / 100)}% of the daily spend` : ""}
            </span>
          </p>
          <b class="num">{money(sum)}</b>
        </li>
      ) : null}
    </ul>
  );
}

interface Advice {
  title: string;
  why: string;
  /** In the place of an amount that is not known. */
  instead: string;
}

/** What to do, and why, from the facts of a recommendation; one of a kind that we do not know in its own words. */
export function advice(each: Recommendation): Advice {
  const known = WORDS[each.kind];
  if (known) return { instead: "", ...known(each) };
  const [title = "", ...rest] = each.text.split(": ");
  return { title, why: rest.join(": "), instead: "" };
}

const WORDS: Record<string, (each: Recommendation) => Omit<Advice, "instead"> & { instead?: string }> = {
  cache_items: (each) => ({
    title: `Keep ${exact(list(each["items"]).length)} items in Redis`,
    why: `${list(each["items"]).slice(0, 2).join(", ")}${list(each["items"]).length > 2 ? " and others" : ""} are ${percent(round(number(each["share"])))}% of the reads of ChromaDB, ${exact(number(each["reads"]))} a day.`,
    instead: number(each["saves_seconds_per_day"]) >= 1 ? `${significant(Math.round(number(each["saves_seconds_per_day"])))} s` : "",
  }),
  repeated_query: (each) => ({
    title: `Answer “${each["query"]}” once`,
    why: `Asked ${exact(number(each["requests"]))} times since yesterday, ${shortText(number(each["tokens"]))} tokens. A kept answer saves all but the first.`,
  }),
  cheaper_model: (each) => ({
    title: `Send short answers to ${each["cheaper"]}`,
    why: `${exact(number(each["requests"]))} requests to ${each["model"]} had answers of ${exact(number(each["mean_output_tokens"]))} tokens in the mean; its token costs ${significant(Math.round(number(each["price_ratio"]) * 10) / 10)} times as much.`,
  }),
};

/** Dollars a day; null where no price is known. What is counted over today and yesterday is spread over that time. */
export function savedDaily(each: Recommendation, now: number): number | null {
  const daily = each["saves_usd_per_day"];
  if (typeof daily === "number") return daily;
  const saved = each["saves_usd"];
  return typeof saved === "number" ? saved / (1 + (now % 86400) / 86400) : null;
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function number(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function round(share: number): number {
  return Math.round(share * 100) / 100;
}
