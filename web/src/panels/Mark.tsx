// Meaning has a shape and a word as well as a colour.

interface Shape {
  /** In a box of 14 by 14. */
  path: string;
  tone: string;
  /** Drawn as a line; else filled. */
  line?: boolean;
}

const DIAMOND = "M7 1.8 12.2 7 7 12.2 1.8 7Z";
const TRIANGLE = "M7 2 12.4 11.8H1.6Z";
const CIRCLE = "M7 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8Z";
const SHAPES: Record<string, Shape> = {
  critical: { path: DIAMOND, tone: "crit" }, warning: { path: TRIANGLE, tone: "warn" }, info: { path: TRIANGLE, tone: "quiet" },
  pending: { path: TRIANGLE, tone: "warn", line: true }, slow: { path: `${CIRCLE}M7 4.4a2.6 2.6 0 0 1 0 5.2Z`, tone: "warn" },
  connected: { path: CIRCLE, tone: "ok" }, away: { path: DIAMOND, tone: "crit" }, off: { path: CIRCLE, tone: "quiet", line: true },
  silenced: { path: `${DIAMOND}M2.6 11.4 11.4 2.6`, tone: "quiet", line: true }, ended: { path: "M2.6 7.4 5.6 10.4 11.4 4", tone: "quiet", line: true },
  "info-dot": { path: "M7 5.3a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4Z", tone: "quiet" },
};
const UNKNOWN = SHAPES["warning"] as Shape;

export function Mark({ of, label }: { of: string; label?: string }) {
  const { path, tone, line } = SHAPES[of] ?? UNKNOWN;
  return (
    <span class={`mark ${tone}`}>
      <svg viewBox="0 0 14 14" aria-hidden="true" fill-rule="evenodd" {...(line ? { fill: "none", stroke: "currentColor" } : { fill: "currentColor" })} stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round">
        <path d={path} />
      </svg>
      <span class="sr">{label ?? of}</span>
    </span>
  );
}
