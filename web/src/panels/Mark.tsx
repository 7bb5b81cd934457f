// Meaning has a shape and a word as well as a colour.

const MARKS: Record<string, [sign: string, tone: string]> = {
  critical: ["◆", "crit"], warning: ["▲", "warn"], info: ["▲", "quiet"], pending: ["△", "warn"], slow: ["◐", "warn"], connected: ["●", "ok"],
  away: ["◆", "crit"], off: ["○", "quiet"], silenced: ["◇", "quiet"], ended: ["✓", "quiet"], "info-dot": ["•", "quiet"],
};

export function Mark({ of, label }: { of: string; label?: string }) {
  const [sign, tone] = MARKS[of] ?? ["▲", "warn"];
  return (
    <span class={`mark ${tone}`}>
      <span aria-hidden="true">{sign}</span>
      <span class="sr">{label ?? of}</span>
    </span>
  );
}
