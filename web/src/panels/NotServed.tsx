// A part of the platform that this service does not serve, or that has no data yet: what it needs, how to give it, what will be seen.

import { Command } from "./Command";

interface Props {
  what: string;
  needs: string;
  command?: string;
  /** What stands here once there is data. */
  shows?: string;
}

export function NotServed({ what, needs, command, shows }: Props) {
  return (
    <section class="empty">
      <h2>{what}</h2>
      <p>{needs}</p>
      {command ? <Command text={command} /> : null}
      {shows ? <p class="small shows">What you will see: {shows}</p> : null}
    </section>
  );
}
