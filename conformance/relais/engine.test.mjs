//! Where we want better behaviour than the reference, on the engine's wire: what it does instead stands beside each test.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL, Polling, SEPARATOR, Socket, assertRefused, refusedUpgrade, request, socketio } from '../lib/engine.mjs';
import { Wire, handshake } from '../lib/wire.mjs';
import { eventually, within } from '../lib/wait.mjs';

const HOST = new URL(ENGINE_URL).host;

// The reference answers a refused WebSocket handshake with the message as plain text, and one of an unsupported protocol version
// with 101, after which it writes an HTTP answer into the WebSocket.
for (const [what, query, code, message] of [
  ['a transport that does not exist', 'EIO=4&transport=abc', 0, 'Transport unknown'],
  ['no transport', 'EIO=4', 0, 'Transport unknown'],
  ['a session id that nobody has', 'EIO=4&transport=websocket&sid=abcdefghijklmnopqrst', 1, 'Session ID unknown'],
  ['no protocol version', 'transport=websocket', 5, 'Unsupported protocol version'],
  ['a protocol version that is no number', 'EIO=abc&transport=websocket', 5, 'Unsupported protocol version'],
  ['protocol version 3', 'EIO=3&transport=websocket', 5, 'Unsupported protocol version'],
]) {
  test(`a WebSocket handshake with ${what} gets the same JSON body as a poll`, async () => {
    const { status, body } = await refusedUpgrade(`/engine.io/?${query}`);
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(body), { code, message });
  });
}

// The reference has 120 bits.
test('a session id has at least 128 random bits', async () => {
  const { sid } = await Polling.open();
  assert.ok(sid.length >= 22, sid);
});

// The reference waits for the heartbeat to fail.
test('a close packet over WebSocket closes the connection at once, with a close frame', async () => {
  // It goes on answering heartbeats, so that only the packet can be what ends it.
  const socket = await Socket.open();
  socket.send('1');
  assert.equal((await socket.assertCloses()).code, 1000);
});

// The reference handles DISCONNECT one turn later, and takes the CONNECT behind it for a second one: it closes.
test('a namespace can be left and entered again without waiting', async () => {
  const socket = await socketio({ namespaces: ['/', '/custom'] });
  socket.send('41/custom,');
  socket.send('40/custom,{"again":true}');
  assert.match(await socket.next(), /^40\/custom,\{"sid":/);
  assert.equal(await socket.next(), '42/custom,["auth",{"again":true}]');
  socket.close();
});

// The reference sends whatever has queued; python-engineio refuses a payload of more than 16 packets, and loses all of it.
test('a polling payload never holds more packets than the strictest stock client takes', async () => {
  const session = await Polling.open();
  await session.post(Array.from({ length: 30 }, (_, n) => `4${n}`).join(SEPARATOR));
  const got = [];
  while (got.length < 30) {
    const text = await (await session.get()).text();
    const packets = text.split(SEPARATOR);
    assert.ok(packets.length <= 16, `${packets.length} packets`);
    if (packets.includes('2')) await session.post('3');
    got.push(...packets.filter((packet) => packet !== '2'));
  }
  assert.deepEqual(got, Array.from({ length: 30 }, (_, n) => `4${n}`));
});

test('binary waits for its header in every payload: a header and its attachments are never parted', async () => {
  const session = await Polling.open('/socket.io/');
  await session.post('40');
  const header = `453-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`;
  const events = 6;
  for (let n = 0; n < events; n += 1) await session.post([header, 'bAQ==', 'bAg==', 'bAw=='].join(SEPARATOR));
  const got = [];
  // Two packets come before the events: the answer to CONNECT and the event `auth`.
  while (got.length < 2 + 4 * events) {
    const packets = await session.packets();
    if (packets.includes('2')) await session.post('3');
    got.push(...packets.filter((packet) => packet !== '2'));
  }
  for (let n = 2; n < got.length; n += 4) {
    assert.ok(got[n].startsWith('453-["message-back"'), got[n]);
    assert.deepEqual(got.slice(n + 1, n + 4), ['bAQ==', 'bAg==', 'bAw==']);
  }
});

// The reference has no limit of attachments by default before version 4.8 of its parser.
test('ten attachments are taken, eleven close the connection', async () => {
  const event = (count) => `45${count}-["message",${Array.from({ length: count }, (_, num) => `{"_placeholder":true,"num":${num}}`).join(',')}]`;
  const good = await socketio();
  good.send(event(10));
  for (let n = 0; n < 10; n += 1) good.send(Buffer.from([n]));
  assert.match(await good.next(), /^4510-\["message-back"/);
  for (let n = 0; n < 10; n += 1) assert.deepEqual(await good.next(), Buffer.from([n]));
  good.close();
  const bad = await socketio();
  bad.send(event(11));
  for (let n = 0; n < 11; n += 1) bad.send(Buffer.from([n]));
  await bad.assertCloses();
});

// The reference refuses it as a bad request; native Dart clients send it (WIRE.md).
test('an upgrade request that says transport=polling is a WebSocket session', async () => {
  const wire = await Wire.open(ENGINE_URL, '/engine.io/?EIO=4&transport=polling');
  const open = JSON.parse((await wire.next()).text.slice(1));
  assert.deepEqual(open.upgrades, []);
  wire.text('4hello');
  assert.equal((await wire.next()).text, '4hello');
  wire.end();
});

test('/socket.io and /socket.io/ are the same', async () => {
  const response = await request('/socket.io?EIO=4&transport=polling');
  assert.equal(response.status, 200);
  assert.equal((await response.text())[0], '0');
});

test('an empty text frame closes the connection, and none is ever sent', async () => {
  const socket = await Socket.open();
  socket.send('');
  await socket.assertCloses();
});

test('a poll that is refused is told not to be stored anywhere', async () => {
  const response = await request('/engine.io/?EIO=4&transport=polling&sid=unknown');
  await assertRefused(response, 400, 1, 'Session ID unknown');
});

// The reference takes both for an event, and an ack, of nothing.
for (const [what, packet] of [
  ['an event', '42'],
  ['an ack', '431'],
]) {
  test(`${what} without a payload closes the connection`, async () => {
    const socket = await socketio();
    socket.send(packet);
    await socket.assertCloses();
  });
}

// The reference accepts all of them.
for (const [what, change] of [
  ['over HTTP/1.0', (lines) => lines.map((line) => line.replace('HTTP/1.1', 'HTTP/1.0'))],
  ['without a host', (lines) => lines.filter((line) => !line.startsWith('Host:'))],
  ['with two hosts', (lines) => [...lines, 'Host: elsewhere.example']],
  ['of version 8, which is older than the RFC', (lines) => lines.map((line) => line.replace('Version: 13', 'Version: 8'))],
]) {
  test(`a WebSocket handshake ${what} is refused, not upgraded`, async () => {
    const wire = await Wire.request(ENGINE_URL, change(handshake('/engine.io/?EIO=4&transport=websocket', HOST)));
    const { status } = await within(wire.head, 'an answer');
    assert.ok(status >= 400 && status < 500, String(status));
    wire.end();
  });
}

// The reference says 400 and lists version 8 as well.
test('a handshake of another version is answered 426 with the version that is spoken', async () => {
  const lines = handshake('/engine.io/?EIO=4&transport=websocket', HOST).map((line) => line.replace('Version: 13', 'Version: 99'));
  const wire = await Wire.request(ENGINE_URL, lines);
  const { status, headers } = await within(wire.head, 'an answer');
  assert.deepEqual([status, headers.get('sec-websocket-version'), headers.get('upgrade')], [426, '13', 'websocket']);
  wire.end();
});

// The reference has nothing there for plain HTTP.
test('plain HTTP to a WebSocket address is answered 426 with what it should upgrade to', async () => {
  const response = await request('/__echo');
  assert.equal(response.status, 426);
  assert.equal(response.headers.get('upgrade'), 'websocket');
  assert.equal(response.headers.get('sec-websocket-version'), '13');
});

// The reference reads them.
for (const [what, head] of [
  ['five bytes in two bytes', [0x81, 0x80 | 126, 0, 5]],
  ['five bytes in eight bytes', [0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 5]],
  ['a length with its highest bit set', [0x81, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 5]],
]) {
  test(`a frame that writes ${what} closes with 1002`, async () => {
    const wire = await Wire.open(ENGINE_URL, '/__echo');
    wire.send(Buffer.from([...head, 0, 0, 0, 0]), Buffer.from('hello'));
    assert.equal(await wire.closeCode(), 1002);
    wire.end();
  });
}

test('thirty connections that come and go at once leave nothing that disturbs the next', async () => {
  for (let round = 0; round < 3; round += 1) {
    const sockets = await Promise.all(Array.from({ length: 30 }, () => socketio()));
    sockets.forEach((socket) => socket.close());
  }
  const socket = await socketio();
  socket.send('42["message","fine"]');
  assert.equal(await socket.next(), '42["message-back","fine"]');
  await eventually('heartbeats go on', () => socket.pings > 1);
  socket.close();
});
