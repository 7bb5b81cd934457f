// What the reason of a source means, and what to do about it. The reason itself is shown beside it.

export interface Fault {
  short: string;
  said: string;
  does: string;
}

const FAULTS: readonly (readonly [sign: RegExp, short: string, said: (host: string) => string, does: string])[] = [
  [/is no (?:NATS|Redis) server/, "another", (host) => `Another program answers at ${host}.`, "Correct the endpoint, or free that port for the server."],
  [/takes TLS alone/, "wants TLS", (host) => `${host} may want TLS.`, "If it does, write tls:// or rediss:// before its endpoint."],
  [/still loading/, "loading", (host) => `${host} has been started and reads its data.`, "Nothing is to be done: it answers once it has."],
  [/refused/i, "refused", (host) => `${host} refuses the connection.`, "Nothing listens there, or a firewall answers for it. Start it, or correct its endpoint under sources of event processing."],
  [/timed out|timeout|too long|has not answered within|nothing has come within/i, "too slow", (host) => `${host} does not answer in time.`, "It is overloaded, or packets are lost on the way. Look at that host, or give it a longer timeout."],
  [/name or service|getaddrinfo|resolve/i, "no address", (host) => `The name ${host} has no address.`, "Correct the endpoint, or the name server of this host."],
  [/unreachable|no route/i, "no way", (host) => `There is no way to ${host}.`, "Look at the network between this host and that one."],
  [/\b40[13]\b|denied|forbidden/i, "not allowed", (host) => `${host} does not let us in.`, "Give its source the right credentials."],
  [/\b404\b/, "not found", (host) => `${host} has nothing at this path.`, "Correct the path of its endpoint."],
  [/certificate|ssl|tls/i, "no trust", (host) => `The certificate of ${host} is not trusted.`, "Renew it, or give this host the authority that signed it."],
];

export function fault(reason: string): Fault {
  const host = /(?:https?|nats|tls|rediss?):\/\/([^/\s]+)/.exec(reason)?.[1] ?? "It";
  const found = FAULTS.find(([sign]) => sign.test(reason));
  return found ? { short: found[1], said: found[2](host), does: found[3] } : { short: "away", said: `${host} does not answer as it should.`, does: "" };
}
