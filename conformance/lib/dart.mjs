//! Flutter's socket_io_client 3.x as bytes: its handshake, what it reads, from a bare socket.
//!
//! In: an address. Out: the wire, and events and acks as the client reads them. No Dart is run here.

import assert from 'node:assert/strict';
import { OP, Wire } from './wire.mjs';
import { within } from './wait.mjs';

export const DART = 'Dart/3.4 (dart:io)';
const DEFLATE = 'permessage-deflate; client_max_window_bits';
const KEY_OF_DART = 'hjLwVmM1HEmLQxqCgjLZgw==';

/** The handshake as dart:io writes it: lower-case names, its own order, its offer of compression. */
function dartHandshake(url, pathAndQuery, extra = []) {
  return [
    `GET ${pathAndQuery} HTTP/1.1`,
    `user-agent: ${DART}`,
    'connection: Upgrade',
    'cache-control: no-cache',
    'accept-encoding: gzip',
    'content-length: 0',
    'sec-websocket-version: 13',
    `host: ${new URL(url).host}`,
    `sec-websocket-extensions: ${DEFLATE}`,
    `sec-websocket-key: ${KEY_OF_DART}`,
    'upgrade: websocket',
    ...extra,
  ];
}

export async function dartSocket(url, query = 'transport=websocket', extra = [], path = '/socket.io/') {
  const wire = await Wire.request(url, dartHandshake(url, `${path}?EIO=4&${query}`, extra));
  const head = await within(wire.head, 'the handshake is answered');
  assert.equal(head.status, 101, head.text);
  return { wire, head };
}

/** The OPEN packet, as Dart reads it: types matter, it casts. */
export async function readOpen(wire) {
  const { text } = await wire.next('the OPEN packet');
  assert.equal(text[0], '0');
  const open = JSON.parse(text.slice(1));
  assert.ok(Array.isArray(open.upgrades));
  for (const key of ['pingInterval', 'pingTimeout', 'maxPayload']) {
    assert.ok(Number.isInteger(open[key]), key);
    // An integer in JSON that Dart reads as int has neither point nor exponent.
    assert.match(text, new RegExp(`"${key}":\\d+[,}]`));
  }
  return open;
}

/** The next EVENT: its arguments, name first; acks and others are kept for `ackOf`. */
export async function eventOf(wire) {
  const { text } = await wire.frames.next('an event', (got) => got.opcode === OP.text && /^42\d*\[/.test(got.text));
  assert.match(text, /^42\[/, 'an event that asks for no ack');
  return JSON.parse(text.slice(2));
}

export async function ackOf(wire, id) {
  const prefix = `43${id}[`;
  const { text } = await wire.frames.next(`the ack ${id}`, (got) => got.opcode === OP.text && got.text.startsWith(prefix));
  return JSON.parse(text.slice(prefix.length - 1));
}
