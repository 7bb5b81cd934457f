// Requests to the page's own origin. A refusal carries what the service said: what is wrong, and what to do.

export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint: string) {
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
  constructor(private readonly send: Fetch = (url, init) => fetch(url, init), private readonly patience = 10_000) {}

  get<T>(path: string): Promise<T> {
    return this.ask<T>("GET", path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.ask<T>("POST", path, body);
  }

  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const text = body === undefined ? null : JSON.stringify(body);
    const init: RequestInit = { method, headers, cache: "no-store", body: text, signal: AbortSignal.timeout(this.patience) };
    const response = await this.send(path, init).catch(() => Promise.reject(new Unreachable("no connection")));
    const answer: unknown = await response.json().catch(() => null);
    if (!response.ok) throw refusal(response.status, answer);
    return answer as T;
  }
}

function refusal(status: number, answer: unknown): Refusal {
  const error = (answer as { error?: { code?: string; message?: string; hint?: string } } | null)?.error ?? {};
  return new Refusal(status, error.code ?? "", error.message ?? `status ${status}`, error.hint ?? "");
}
