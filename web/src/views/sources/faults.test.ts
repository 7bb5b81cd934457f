import { describe, expect, it } from "vitest";
import { fault } from "./faults";

describe("fault", () => {
  it.each([
    ["redis://h:6379/0 is no Redis server: b'HTTP/1.1 404 Not Found'", "another", "Another program answers at h:6379."],
    ["redis://h:6379/0 ended the connection at once (if it takes TLS alone, write rediss:// in sources.redis.endpoint): closed", "wants TLS", "h:6379 may want TLS."],
    ["rediss://h:6379/0: TLS fails: certificate verify failed", "no trust", "The certificate of h:6379 is not trusted."],
    ["redis://h:6379/0 has denied us: invalid username-password pair; look at the log-in under sources.redis", "not allowed", "h:6379 does not let us in."],
    ["redis://h:6379/0 is still loading its data", "loading", "h:6379 has been started and reads its data."],
    ["the connection to nats://h:4222 is lost: nothing has come within 6 s, not even an answer to PING", "too slow", "h:4222 does not answer in time."],
    ["agents is no stream on redis://h:6379/0, but another kind of value", "away", "h:6379 does not answer as it should."],
  ])("%s", (reason, short, said) => {
    expect(fault(reason)).toMatchObject({ short, said });
  });
});
