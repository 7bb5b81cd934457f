// The usual server of `ws`: each line that comes in over TCP goes to every client. PORT FEED_PORT
const net = require('net');
const { WebSocketServer } = require('ws');

const [port, feed] = process.argv.slice(2).map(Number);
const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false, backlog: 4096 });

net.createServer((socket) => {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) for (const client of server.clients) client.send(line);
  });
  socket.on('error', () => {});
}).listen(feed, '127.0.0.1');
