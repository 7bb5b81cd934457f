// A figure that the service computed: the number, then its meaning.

interface Props {
  title: string;
  before?: string;
  text: string;
  unit?: string;
  meaning?: string;
  tone?: "" | "warn" | "crit";
}

export function Figure({ title, before, text, unit, meaning = "", tone = "" }: Props) {
  return (
    <section class="stat" aria-label={title}>
      <h3>{title}</h3>
      <p class="value">
        {before && text !== "unknown" && text !== "–" ? <small class="before">{before}</small> : null}
        <span class="figure">{text}</span>
        {unit ? <small class="unit">{unit}</small> : null}
      </p>
      <p class={`meaning ${tone}`} title={meaning}>
        {meaning}
      </p>
    </section>
  );
}
