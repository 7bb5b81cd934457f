// What could be done better, with the numbers that carry it, as the platform computed it.

import { useResource } from "../frame/context";
import { exact, money } from "../format/number";

interface Recommendation {
  kind: string;
  text: string;
  saves_usd?: number | null;
  saves_seconds_per_day?: number | null;
}

export function Recommendations({ kinds, most = 5 }: { kinds: readonly string[]; most?: number }) {
  const { data, state } = useResource<{ recommendations: Recommendation[] }>("/api/v2/recommendations", 30);
  const found = (data?.recommendations ?? []).filter((each) => kinds.includes(each.kind)).sort((left, right) => (right.saves_usd ?? 0) - (left.saves_usd ?? 0));
  if (!found.length) return <p class="panel-said">{state === "loading" ? "–" : "Nothing stands out."}</p>;
  return (
    <ul class="advice">
      {found.slice(0, most).map((each) => (
        <li key={each.text}>
          <p>
            <b>{head(each.text)}</b>
            <span class="small">{rest(each.text)}</span>
          </p>
          <b class="num">{each.saves_usd != null ? `$${money(each.saves_usd)}` : each.saves_seconds_per_day != null ? `${exact(each.saves_seconds_per_day, 1)} s` : ""}</b>
        </li>
      ))}
    </ul>
  );
}

/** The sentence up to its colon is the fact; what follows is what to do. */
function head(text: string): string {
  return text.split(": ")[0] ?? text;
}

function rest(text: string): string {
  return text.split(": ").slice(1).join(": ");
}
