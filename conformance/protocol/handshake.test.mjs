//! Engine.IO v4: opening a session over HTTP and over WebSocket, and every way in which opening is refused.

import test from 'node:test';
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { within } from '../lib/wait.mjs';
import { ENGINE_URL, MAX_PAYLOAD, PING_INTERVAL_MS, PING_TIMEOUT_MS, Polling, Socket, assertRefused, refusedUpgrade, request } from '../lib/engine.mjs';

const REFUSALS = [
  ['a transport that does not exist', 'EIO=4&transport=abc', 0, 'Transport unknown'],
  ['no transport', 'EIO=4', 0, 'Transport unknown'],
  ['a session id that nobody has', 'EIO=4&transport=polling&sid=abcdefghijklmnopqrst', 1, 'Session ID unknown'],
  ['no protocol version', 'transport=polling', 5, 'Unsupported protocol version'],
  ['a protocol version that is no number', 'EIO=abc&transport=polling', 5, 'Unsupported protocol version'],
  ['protocol version 3', 'EIO=3&transport=polling', 5, 'Unsupported protocol version'],
  ['protocol version 5', 'EIO=5&transport=polling', 5, 'Unsupported protocol version'],
];

for (const path of ['/engine.io/', '/socket.io/']) {
  test(`a poll of ${path} opens a session and says its limits as integers`, async () => {
    const response = await request(`${path}?EIO=4&transport=polling`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/plain; ?charset=utf-8$/i);
    assert.match(response.headers.get('cache-control'), /no-store/);
    const text = await response.text();
    assert.equal(text[0], '0');
    const open = JSON.parse(text.slice(1));
    assert.deepEqual(Object.keys(open).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
    assert.equal(typeof open.sid, 'string');
    assert.deepEqual(open.upgrades, ['websocket']);
    assert.equal(open.pingInterval, PING_INTERVAL_MS);
    assert.equal(open.pingTimeout, PING_TIMEOUT_MS);
    assert.equal(open.maxPayload, MAX_PAYLOAD);
  });

  test(`a WebSocket to ${path} opens a session that offers no upgrade`, async () => {
    const socket = await Socket.open(path);
    assert.deepEqual(Object.keys(socket.open).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
    assert.deepEqual(socket.open.upgrades, []);
    assert.equal(socket.open.pingInterval, PING_INTERVAL_MS);
    assert.equal(socket.open.pingTimeout, PING_TIMEOUT_MS);
    assert.equal(socket.open.maxPayload, MAX_PAYLOAD);
    socket.close();
  });

  for (const [what, query, code, message] of REFUSALS) {
    test(`a poll of ${path} with ${what} is refused with code ${code}`, async () => {
      await assertRefused(await request(`${path}?${query}`), 400, code, message);
    });
  }

  for (const method of ['POST', 'PUT', 'DELETE']) {
    test(`${method} cannot open a session under ${path}`, async () => {
      await assertRefused(await request(`${path}?EIO=4&transport=polling`, { method }), 400, 2, 'Bad handshake method');
    });
  }
}

test('session ids are long and never the same', async () => {
  const sessions = await Promise.all(Array.from({ length: 20 }, () => Polling.open()));
  const ids = new Set(sessions.map((session) => session.sid));
  assert.equal(ids.size, 20);
  // 128 random bits are 22 characters of base64; the reference has 120 of them, so 20.
  for (const id of ids) assert.ok(id.length >= 20, id);
});

for (const [what, query] of [
  ['a transport that does not exist', 'EIO=4&transport=abc'],
  ['no transport', 'EIO=4'],
  ['a session id that nobody has', 'EIO=4&transport=websocket&sid=abcdefghijklmnopqrst'],
]) {
  test(`a WebSocket handshake with ${what} is refused over HTTP`, async () => {
    assert.equal((await refusedUpgrade(`/engine.io/?${query}`)).status, 400);
  });
}

for (const [what, query] of [
  ['no protocol version', 'transport=websocket'],
  ['a protocol version that is no number', 'EIO=abc&transport=websocket'],
  ['protocol version 3', 'EIO=3&transport=websocket'],
]) {
  test(`a WebSocket with ${what} never gets a session`, async () => {
    const ws = new WebSocket(`${ENGINE_URL.replace(/^http/, 'ws')}/engine.io/?${query}`);
    const messages = [];
    ws.on('message', (data) => messages.push(data.toString()));
    ws.on('error', () => {});
    // The reference accepts, and then writes an HTTP answer into the WebSocket: an error for the client, then its end.
    await within(new Promise((resolve) => ws.on('close', resolve)), 'refused or closed');
    assert.deepEqual(messages.filter((text) => text.startsWith('0')), []);
  });
}

test('an ordinary GET that says transport=websocket is a bad request', async () => {
  await assertRefused(await request('/engine.io/?EIO=4&transport=websocket'), 400, 3, 'Bad request');
});

test('a poll that names the session of a WebSocket is a bad request and does the session no harm', async () => {
  const socket = await Socket.open();
  await assertRefused(await request(`/engine.io/?EIO=4&transport=polling&sid=${socket.open.sid}`), 400, 3, 'Bad request');
  socket.send('4still here');
  assert.equal(await socket.next(), '4still here');
  socket.close();
});

test('the path works with and without its last slash', async () => {
  assert.equal((await request('/socket.io/?EIO=4&transport=polling')).status, 200);
  assert.equal((await request('/engine.io/?EIO=4&transport=polling')).status, 200);
});

test('parameters that nobody knows are ignored', async () => {
  const response = await request('/socket.io/?t=PkX1y2z&EIO=4&b64=1&transport=polling&colour=blue');
  assert.equal(response.status, 200);
});

test('a path that is not ours is not found', async () => {
  assert.equal((await request('/nowhere/?EIO=4&transport=polling')).status, 404);
});

test('IPv4 and IPv6 both lead to the server', { skip: new URL(ENGINE_URL).hostname !== 'localhost' && 'needs an address named localhost' }, async () => {
  const { port } = new URL(ENGINE_URL);
  for (const host of ['127.0.0.1', '[::1]']) {
    const response = await fetch(`http://${host}:${port}/engine.io/?EIO=4&transport=polling`);
    assert.equal(response.status, 200, host);
    await response.text();
  }
});
