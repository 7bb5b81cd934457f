// The connection: first the data, then everything after it. Lost, it tries again: 1, 2, 4, then every 5 s.
//
// Each try begins with the data answer, so a refusal has its reason, and the stream goes on at the position up to
// which the data was computed: there is no hole between them, also when the log was recreated meanwhile.

const DELAYS = [1000, 2000, 4000, 5000];
const SILENCE = 20000;

export class Stream {
  /** `on`: {data(answer), event(event), state()}; `types(answer)`: the event types to follow. */
  constructor(dashboard, types, on) {
    this.dashboard = dashboard;
    this.types = types;
    this.on = on;
    this.state = "connecting"; // connecting, open, lost
    this.lostAt = null; // milliseconds since 1970
    this.nextTry = null;
    this.reason = "";
    this.tries = 0;
    this.source = null;
    this.timer = 0;
    this.watch = 0;
  }

  async connect() {
    clearTimeout(this.timer);
    this.stop();
    const turn = (this.turn = {});
    this.nextTry = null;
    try {
      const answer = await this.fetch();
      if (turn !== this.turn) return;
      this.on.data(answer);
      this.follow(answer);
    } catch (error) {
      if (turn === this.turn) this.lose(error instanceof Refused ? error.message : "");
    }
  }

  async fetch() {
    const response = await fetch(`/dashboards/${encodeURIComponent(this.dashboard)}/data`, {
      headers: { Accept: "application/json" },
      cache: "no-store",
      signal: AbortSignal.timeout(10000),
    });
    const body = await response.json();
    if (!response.ok) throw new Refused(body.error?.message ?? `status ${response.status}`);
    return body;
  }

  follow(answer) {
    const query = new URLSearchParams({ after: `${answer.epoch}.${answer.position}`, type: this.types(answer).join(",") });
    // Counts within live_dashboard.max_connections.
    query.set("page", this.dashboard);
    const source = (this.source = new EventSource(`/sse/events?${query}`));
    source.onopen = () => this.open();
    source.onerror = () => this.lose("");
    source.onmessage = (message) => this.take(message);
    // What the log no longer has is not guessed: everything is asked for anew.
    source.addEventListener("reset", () => this.connect());
  }

  open() {
    this.state = "open";
    this.lostAt = null;
    this.reason = "";
    this.tries = 0;
    this.alive();
    this.on.state();
  }

  take(message) {
    this.alive();
    this.on.event(JSON.parse(message.data));
  }

  // A connection that died without a word is noticed by its silence; snapshots come each second.
  alive() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.connect(), SILENCE);
  }

  lose(reason) {
    this.stop();
    this.state = "lost";
    this.lostAt ??= Date.now();
    this.reason = reason;
    const delay = DELAYS[Math.min(this.tries++, DELAYS.length - 1)];
    this.nextTry = Date.now() + delay;
    this.timer = setTimeout(() => this.connect(), delay);
    this.on.state();
  }

  stop() {
    clearTimeout(this.watch);
    this.source?.close();
    this.source = null;
  }
}

class Refused extends Error {}
