//! Stock JavaScript clients, with their events in an inbox.
//!
//! In: an address and the client's own options. Out: the client's socket, its events in order, its end.
//! Nothing of the client is changed; a test that wants to know what the library does reads it off here.

import { io as io4 } from 'socket.io-client';
import { io as io40 } from 'socket.io-client-4.0';
import { Inbox, within } from './wait.mjs';

export const LIBRARIES = { 'socket.io-client 4.x': io4, 'socket.io-client 4.0': io40 };

export const WAYS = {
  'polling only': { transports: ['polling'] },
  'WebSocket only': { transports: ['websocket'] },
  'polling, then upgrade': { transports: ['polling', 'websocket'] },
};

/** Starts a client; `inbox` gets `{name, args}` for each event. */
export function start(url, { library = io4, ...options } = {}) {
  const socket = library(url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...options });
  const inbox = new Inbox(`client of ${url}`);
  // Not onAny: version 4.0 has it, but a listener for each packet is the same in all versions.
  socket.onAny((name, ...args) => inbox.push({ name, args }));
  return { socket, inbox, next: (name, ms) => inbox.next(`event ${name}`, (event) => event.name === name, ms).then((event) => event.args) };
}

/** Starts a client and waits until it is connected. */
export async function connect(url, options) {
  const client = start(url, options);
  try {
    await connected(client.socket);
  } catch (error) {
    client.socket.close();
    throw error;
  }
  return client;
}

/** Waits for `connect`; fails with the server's refusal. */
export function connected(socket, ms) {
  if (socket.connected) return Promise.resolve();
  const came = new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    // A refusal by the server has no own retry; a link that is down is tried again by the client.
    socket.on('connect_error', (error) => !socket.active && reject(error));
  });
  return within(came, 'the client connects', ms);
}

/** Waits for one event of the client library itself (`disconnect`, `connect_error`, …). */
export function own(emitter, name, ms) {
  return within(new Promise((resolve) => emitter.once(name, (...args) => resolve(args))), `the client's ${name}`, ms);
}

/** Emits with an acknowledgement; gives its arguments. */
export function ask(socket, name, ...args) {
  return within(new Promise((resolve) => socket.emit(name, ...args, (...answer) => resolve(answer))), `the ack of ${name}`);
}
