// Drives the published JavaScript client: one JSON request a line on stdin, answers and events as JSON lines on stdout.
import { createInterface } from 'node:readline';
import { Centrifuge } from 'centrifuge';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
let client;

const watch = (source, name, channel) => source.on(name, (ctx) => {
  const { data, error, ...rest } = ctx;
  say({ event: name, channel, ...rest, ...(data === undefined ? {} : { data }), ...(error ? { error } : {}) });
});

const actions = {
  connect({ transport, url, options }) {
    const endpoint = transport === 'websocket' ? url.replace('http', 'ws') : url;
    const settings = { websocket: WebSocket, fetch, readableStream: ReadableStream, eventsource: EventSource,
      emulationEndpoint: url + '/emulation', minReconnectDelay: 20, maxReconnectDelay: 200, ...options };
    client = new Centrifuge([{ transport, endpoint: endpoint + '/connection/' + transport }], settings);
    for (const name of ['connecting', 'connected', 'disconnected', 'error']) watch(client, name);
    client.connect();
  },
  subscribe({ channel, options }) {
    const known = client.getSubscription(channel);
    const sub = known || client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200, ...options });
    if (!known) {
      for (const name of ['subscribed', 'subscribing', 'unsubscribed', 'publication', 'join', 'leave', 'error']) {
        watch(sub, name, channel);
      }
    }
    sub.subscribe();
  },
  unsubscribe({ channel }) { client.getSubscription(channel).unsubscribe(); },
  disconnect() { client.disconnect(); },
};

const queries = {
  history: ({ channel, options }) => client.getSubscription(channel).history(options),
  presence: ({ channel }) => client.getSubscription(channel).presence(),
  presenceStats: ({ channel }) => client.getSubscription(channel).presenceStats(),
  publish: ({ channel, data }) => client.publish(channel, data),
  rpc: ({ method, data }) => client.rpc(method, data),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (actions[request.do]) {
    actions[request.do](request);
  } else {
    queries[request.do](request).then(
      (answer) => say({ event: 'answer', of: request.do, answer }),
      (error) => say({ event: 'refused', of: request.do, code: error.code }),
    );
  }
}
process.exit(0);
