// A part of the platform that this service does not serve, or that has no data yet: what it needs, and how to give it.

export function NotServed({ what, needs, command }: { what: string; needs: string; command?: string }) {
  return (
    <section class="empty">
      <h2>{what}</h2>
      <p>{needs}</p>
      {command ? <pre tabIndex={0}>{command}</pre> : null}
    </section>
  );
}
