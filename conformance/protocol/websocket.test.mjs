//! Engine.IO v4 over WebSocket: messages, heartbeats, closing, and the upgrade from HTTP.

import test from 'node:test';
import assert from 'node:assert/strict';
import { MAX_PAYLOAD, PING_INTERVAL_MS, PING_TIMEOUT_MS, Polling, SEPARATOR, SLACK_MS, Socket } from '../lib/engine.mjs';
import { eventually, pause, within } from '../lib/wait.mjs';

const UPGRADE_TIMEOUT_MS = 10000;

/** A WebSocket beside a polling session, asking to take its place. */
function probe(session, options = {}) {
  return Socket.connect('/engine.io/', { query: `&sid=${session.sid}`, ...options });
}

/** A session moved to WebSocket, the whole way that a client goes. */
async function upgraded() {
  for (;;) {
    const session = await Polling.open();
    const socket = await probe(session);
    socket.send('2probe');
    assert.equal(await socket.next(), '3probe');
    const released = await (await session.get()).text();
    if (!released.split(SEPARATOR).includes('2')) {
      assert.equal(released, '6');
      socket.send('5');
      return { session, socket };
    }
    // A slow day: the heartbeat was first, and what follows would be about it.
    socket.close();
  }
}

test('text comes back as text', async () => {
  const socket = await Socket.open();
  socket.send('4hello €😀');
  assert.equal(await socket.next(), '4hello €😀');
  socket.close();
});

test('binary comes back as binary, bare of any type', async () => {
  const socket = await Socket.open();
  socket.send(Buffer.from([1, 2, 3, 4]));
  assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3, 4]));
  socket.close();
});

test('a hundred messages come back in their order', async () => {
  const socket = await Socket.open();
  for (let n = 0; n < 100; n += 1) socket.send(`4${n}`);
  for (let n = 0; n < 100; n += 1) assert.equal(await socket.next(), `4${n}`);
  socket.close();
});

test('the separator has no meaning over WebSocket', async () => {
  const socket = await Socket.open();
  socket.send(`4a${SEPARATOR}4b`);
  assert.equal(await socket.next(), `4a${SEPARATOR}4b`);
  socket.close();
});

test('a message just under the limit is taken whole', async () => {
  const socket = await Socket.open();
  const text = `4${'x'.repeat(MAX_PAYLOAD - 10)}`;
  socket.send(text);
  assert.equal(await socket.next(), text);
  socket.close();
});

test('a message over the limit closes the connection with 1009', async () => {
  const socket = await Socket.open();
  socket.send(`4${'x'.repeat(MAX_PAYLOAD)}`);
  assert.equal((await socket.assertCloses()).code, 1009);
});

test('a packet of an unknown type closes the connection', async () => {
  const socket = await Socket.open();
  socket.send('abc');
  await socket.assertCloses();
});

test('the server pings at the interval, and a connection that answers lives', async () => {
  const socket = await Socket.open();
  const began = Date.now();
  await eventually('four pings', () => socket.pings >= 4, 4 * PING_INTERVAL_MS + SLACK_MS);
  assert.ok(Date.now() - began >= 3 * PING_INTERVAL_MS, 'not faster than the interval');
  socket.send('4alive');
  assert.equal(await socket.next(), '4alive');
  socket.close();
});

test('a connection that never answers is closed after interval and timeout, not before', async () => {
  const began = Date.now();
  const socket = await Socket.open('/engine.io/', { silent: true });
  assert.equal(await socket.next('a ping'), '2');
  await socket.assertCloses(PING_TIMEOUT_MS + SLACK_MS);
  const lived = Date.now() - began;
  assert.ok(lived >= PING_INTERVAL_MS + PING_TIMEOUT_MS - 50, `closed after ${lived} ms`);
});

test('an upgrade answers the probe, releases the poll with a noop, and goes on over WebSocket', async () => {
  const { socket } = await upgraded();
  socket.send('4hello');
  assert.equal(await socket.next(), '4hello');
  socket.close();
});

test('a poll that was waiting before the probe is released by it', async () => {
  const session = await Polling.open();
  const poll = session.get();
  const socket = await probe(session);
  socket.send('2probe');
  assert.equal(await socket.next(), '3probe');
  assert.equal(await (await within(poll, 'the poll is released', PING_INTERVAL_MS + SLACK_MS)).text(), '6');
  socket.send('5');
  socket.send('4over WebSocket');
  assert.equal(await socket.next(), '4over WebSocket');
  socket.close();
});

test('packets that waited for a poll arrive over the WebSocket once it has taken over', async () => {
  const session = await Polling.open();
  const socket = await probe(session);
  socket.send('2probe');
  assert.equal(await socket.next(), '3probe');
  assert.equal(await (await session.get()).text(), '6');
  await session.post('4sent while between two transports');
  socket.send('5');
  assert.equal(await socket.next(), '4sent while between two transports');
  socket.close();
});

test('after the upgrade a poll is refused and the WebSocket lives', async () => {
  const { session, socket } = await upgraded();
  socket.send('4hello');
  assert.equal(await socket.next(), '4hello');
  assert.equal((await session.get()).status, 400);
  assert.equal((await session.post('4by the back door')).status, 400);
  socket.send('4still here');
  assert.equal(await socket.next(), '4still here');
  socket.close();
});

test('after the upgrade a second WebSocket is closed and the first lives', async () => {
  const { session, socket } = await upgraded();
  socket.send('4hello');
  assert.equal(await socket.next(), '4hello');
  const second = await probe(session).catch((error) => error);
  if (second instanceof Socket) await second.assertCloses();
  socket.send('4still here');
  assert.equal(await socket.next(), '4still here');
  socket.close();
});

test('while an upgrade is under way a second one is refused', async () => {
  const session = await Polling.open();
  const first = await probe(session);
  first.send('2probe');
  assert.equal(await first.next(), '3probe');
  const second = await probe(session).catch((error) => error);
  if (second instanceof Socket) await second.assertCloses();
  assert.equal(await (await session.get()).text(), '6');
  first.send('5');
  first.send('4mine');
  assert.equal(await first.next(), '4mine');
  first.close();
});

test('a WebSocket that says anything but a probe does not take over, and polling goes on', async () => {
  const session = await Polling.open();
  const socket = await probe(session);
  socket.send('4let me in');
  await socket.assertCloses();
  await session.post('4polling');
  assert.deepEqual(await session.packets(), ['4polling']);
});

test('heartbeats go on over the WebSocket after an upgrade', async () => {
  const { socket } = await upgraded();
  await eventually('three pings', () => socket.pings >= 3, 3 * PING_INTERVAL_MS + SLACK_MS);
  socket.close();
});

test('an upgrade that is never finished is taken back after ten seconds, and polling goes on', async () => {
  const session = await Polling.open();
  const socket = await probe(session);
  socket.send('2probe');
  assert.equal(await socket.next(), '3probe');
  let over = false;
  const closed = socket.assertCloses(UPGRADE_TIMEOUT_MS + 3 * SLACK_MS).finally(() => (over = true));
  const began = Date.now();
  while (!over) {
    const packets = (await (await session.get()).text()).split(SEPARATOR);
    if (packets.includes('2')) await session.post('3');
    else await pause(50); // Noops come as fast as one polls.
  }
  await closed;
  assert.ok(Date.now() - began >= UPGRADE_TIMEOUT_MS - SLACK_MS, 'not much earlier');
  await session.post('4polling');
  await eventually('what was posted comes back', async () => {
    const packets = (await (await session.get()).text()).split(SEPARATOR);
    if (packets.includes('2')) await session.post('3');
    return packets.includes('4polling');
  });
});
