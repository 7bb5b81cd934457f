// Requests to the page's own origin. A refusal carries what the service said: what is wrong, and what to do.

export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint: string, readonly more: Readonly<Record<string, unknown>> = {}) {
    super(message);
  }

  /** The route is not there: an older service, or a part that is switched off. */
  get absent(): boolean {
    return this.status === 404 || this.status === 405 || this.status === 501;
  }
}

export class Unreachable extends Error {}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export class Api {
  /** What is waited for, and since when (local unix seconds). */
  private readonly awaited = new Set<{ what: string; since: number }>();

  constructor(private readonly send: Fetch = (url, init) => fetch(url, init), private readonly patience = 10_000) {}

  get<T>(path: string): Promise<T> {
    return this.ask<T>("GET", path);
  }

  /** The same, waited for. */
  first<T>(path: string): Promise<T> {
    return this.awaiting(path, this.get<T>(path));
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.ask<T>("POST", path, body);
  }

  /** An answer without which there is nothing to show; `what` is said when it takes long. */
  async awaiting<T>(what: string, answer: Promise<T>): Promise<T> {
    const entry = { what, since: Date.now() / 1000 };
    this.awaited.add(entry);
    return answer.finally(() => this.awaited.delete(entry));
  }

  /** What has been waited for longer than `seconds`. */
  late(seconds: number): string[] {
    return [...this.awaited].filter(({ since }) => Date.now() / 1000 - since > seconds).map(({ what }) => what);
  }

  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, body === undefined ? null : JSON.stringify(body));
    return (await response.json().catch(() => null)) as T;
  }

  /** JSON as it is written, with the tag of what it was made of: saved only over that. */
  async text(method: string, path: string, body: string | null = null, tag = ""): Promise<{ text: string; tag: string }> {
    const response = await this.request(method, path, body, tag ? { "If-Match": tag } : {});
    return { text: await response.text(), tag: response.headers.get("ETag") ?? "" };
  }

  private async request(method: string, path: string, body: string | null, more: Record<string, string> = {}): Promise<Response> {
    const headers: Record<string, string> = { Accept: "application/json", ...more };
    if (body !== null) headers["Content-Type"] = "application/json";
    const init: RequestInit = { method, headers, cache: "no-store", body, signal: AbortSignal.timeout(this.patience) };
    const response = await this.send(path, init).catch(() => Promise.reject(new Unreachable("no connection")));
    if (!response.ok) throw refusal(response.status, await response.json().catch(() => null));
    return response;
  }
}

function refusal(status: number, answer: unknown): Refusal {
  const error = (answer as { error?: { code?: string; message?: string; hint?: string } } | null)?.error ?? {};
  return new Refusal(status, error.code ?? "", error.message ?? `status ${status}`, error.hint ?? "", error);
}
