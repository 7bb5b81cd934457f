// Commands that send the first event, at the address where events are really taken in.

const AS_SHIPPED = "http://127.0.0.1:9100";
const OWN = new Set(["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"]);

/** Where a reader of this page sends events: what is the gateway's own host has for them the name of this page's. */
export function target(eventsIn: string, pageHost: string): string {
  const url = new URL(eventsIn || AS_SHIPPED);
  if (OWN.has(url.hostname)) url.hostname = pageHost.includes(":") ? `[${pageHost.replace(/^\[|\]$/g, "")}]` : pageHost;
  return url.href.replace(/\/$/, "");
}

/** Ways to send one event to `base`, by name. */
export function commands(base: string): Record<string, string> {
  const place = base === AS_SHIPPED ? "" : ` \\\n  --url ${base}`;
  return {
    curl: `curl -X POST ${base}/events \\\n  -H 'Content-Type: application/json' \\\n  -d '{"type": "llm.request.completed",\n       "data": {"model": "mixtral-8x7b", "agent": "planner",\n                "input_tokens": 812, "output_tokens": 96, "latency_ms": 640}}'`,
    hxp: `hxp publish llm.request.completed model=mixtral-8x7b agent=planner \\\n  input_tokens=812 output_tokens=96 latency_ms=640${place}`,
    Python: `import urllib.request, json\n\nevent = {"type": "llm.request.completed",\n         "data": {"model": "mixtral-8x7b", "input_tokens": 812, "output_tokens": 96, "latency_ms": 640}}\nrequest = urllib.request.Request("${base}/events", json.dumps(event).encode(),\n                                 {"Content-Type": "application/json"})\nprint(urllib.request.urlopen(request).status)`,
  };
}
