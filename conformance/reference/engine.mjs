//! The protocol-level reference server, on Node's own Socket.IO library: what the tests of `protocol/` and `clients/` are
//! known to hold for, and the contract that an engine under test must serve as well.
//!
//! In: PORT. Out: Socket.IO under `/socket.io/` (namespaces `/` and `/custom`), an Engine.IO-only echo under `/engine.io/`,
//! a plain WebSocket echo of at most 16 MiB under `/__echo`.

import http from 'node:http';
import { createRequire } from 'node:module';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

const require = createRequire(import.meta.url);
const { Server: EngineServer } = createRequire(require.resolve('socket.io'))('engine.io');

const LIMITS = { pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1000000 };

export function startEngine(port) {
  const server = http.createServer((_, response) => response.writeHead(404).end());
  const io = new Server(server, { ...LIMITS, connectTimeout: 1000, cors: { origin: '*' }, destroyUpgrade: false });
  io.on('connection', (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => socket.emit('message-back', ...args));
    socket.on('message-with-ack', (...args) => args.pop()(...args));
  });
  io.of('/custom').on('connection', (socket) => socket.emit('auth', socket.handshake.auth));

  const echo = new EngineServer(LIMITS);
  echo.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  echo.attach(server, { path: '/engine.io/', destroyUpgrade: false });

  const plain = new WebSocketServer({ noServer: true, maxPayload: 16 * 1024 * 1024, perMessageDeflate: false });
  server.on('upgrade', (request, socket, head) => {
    if (!request.url.startsWith('/__echo')) return;
    plain.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => {});
      ws.on('message', (data, binary) => ws.send(data, { binary }));
    });
  });

  // Both families: `::` takes IPv4 as well.
  return new Promise((resolve) => server.listen(port, '::', () => resolve(server)));
}
