//! Everybody at once: hundreds of clients that come back after a kill, and more messages than can be stored at the moment.
//! No time is asserted: how fast is the benchmark's affair (`loadgen storm`, `loadgen overload`).

import test from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { token, unique } from '../lib/bam.mjs';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { connected, start } from '../lib/stock.mjs';
import { eventually, pause, within } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const CLIENTS = 500;
const ROOMS = 10;
const LONG_MS = 60000;

/** A stock client in a room, with what it was told there and whether each return was a recovery. */
function person(server, room, options = {}) {
  const auth = { token: token({ sub: unique('user'), bams: [room] }, server.secrets.JWT_SECRET) };
  const { socket } = start(server.url, { transports: ['websocket'], auth, timeout: LONG_MS, ...options });
  const one = { socket, room, heard: [], returns: [] };
  socket.on('new-message', (message) => one.heard.push(message.content));
  return one;
}

const ask = (one, name, payload) => within(one.socket.emitWithAck(name, payload), `the ack of ${name}`, LONG_MS);

async function enter(one) {
  await connected(one.socket, LONG_MS);
  // A join is stored as well, and may be refused for now like any message.
  for (;;) {
    const joined = await ask(one, 'join-bam', one.room);
    if (joined.success) break;
    assert.equal(joined.error.code, 'OVERLOADED');
    await pause(joined.error.retryAfterMs);
  }
  one.socket.on('connect', () => one.returns.push(one.socket.recovered));
}

test(`${CLIENTS} clients behind one address come back at once after a kill: all are recovered, and hear what comes then once`, { timeout: 180000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()) });
  const everyone = [];
  t.after(async () => {
    everyone.forEach((one) => one.socket.close());
    await server.remove();
  });
  const rooms = Array.from({ length: ROOMS }, () => unique('bam'));
  for (let n = 0; n < CLIENTS; n += 50) {
    const some = Array.from({ length: 50 }, (_, at) => person(server, rooms[(n + at) % ROOMS]));
    everyone.push(...some);
    await Promise.all(some.map(enter));
  }
  const say = (content) => Promise.all(everyone.slice(0, ROOMS).map(async (one) => {
    const answer = await ask(one, 'send-message', { bamId: one.room, content, tempId: randomUUID() });
    assert.equal(answer.success, true, JSON.stringify(answer));
  }));
  await say('before');

  await server.program.kill();
  // Sessions that come back are no new connections: the usual limit for one address lets all of them in.
  delete server.program.env.RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX;
  await server.program.start();
  await eventually('everybody is back', () => everyone.every((one) => one.returns.length > 0 && one.socket.connected), 120000);
  const fresh = everyone.filter((one) => one.returns.some((recovered) => recovered !== true));
  assert.equal(fresh.length, 0, 'socket.recovered is true for everybody');
  await say('after');
  await eventually('everybody has heard it', () => everyone.every((one) => one.heard.includes('after')), LONG_MS);
  for (const one of everyone) assert.deepEqual(one.heard, ['before', 'after']);
});

test('more messages than can be stored now: each is acked or refused as OVERLOADED, what was refused is not there, and later all is as before', { timeout: 240000 }, async (t) => {
  // So short a wait that no disk keeps up with the flood.
  const server = await relais(BIN, { RELAIS_EVENTS_PER_SECOND_MAX: '0', RELAIS_STORE_WAIT_MS_MAX: '1' });
  const room = unique('bam');
  const senders = Array.from({ length: 8 }, () => person(server, room));
  t.after(async () => {
    senders.forEach((one) => one.socket.close());
    await server.remove();
  });
  await Promise.all(senders.map(enter));
  let lost = 0;
  senders.forEach((one) => one.socket.on('disconnect', () => (lost += 1)));

  const flood = senders.flatMap((one) => Array.from({ length: 2500 }, async () => {
    const tempId = randomUUID();
    return { tempId, answer: await ask(one, 'send-message', { bamId: room, content: tempId, tempId }) };
  }));
  const outcomes = await within(Promise.all(flood), 'everything is answered', 120000);
  const acked = outcomes.filter(({ answer }) => answer.success);
  const refused = outcomes.filter(({ answer }) => !answer.success);
  for (const { answer } of refused) {
    assert.equal(answer.error.code, 'OVERLOADED', JSON.stringify(answer));
    assert.equal(answer.error.retryable, true);
    assert.ok(answer.error.retryAfterMs > 0);
  }
  t.diagnostic(`${acked.length} acked, ${refused.length} refused`);
  assert.ok(refused.length > 0, 'it was too much');
  assert.equal(lost, 0, 'nobody was disconnected');

  // What was refused may be sent again under the same tempId, and is then there once, like everything else.
  await pause(1000);
  assert.ok(acked.length > 0, 'some was stored all the same');
  for (const { tempId } of refused.slice(0, 20)) {
    const answer = await ask(senders[0], 'send-message', { bamId: room, content: tempId, tempId });
    assert.equal(answer.success, true, JSON.stringify(answer));
    acked.push({ tempId, answer });
  }
  const seqs = acked.map(({ answer }) => answer.message.seq).sort((a, b) => a - b);
  assert.deepEqual(seqs, seqs.map((_, at) => at + 1), 'what was acked is all that is there');
  const contents = acked.map(({ tempId }) => tempId).sort();
  await eventually('everybody has heard all of it', () => senders.every((one) => one.heard.length === contents.length), LONG_MS);
  for (const one of senders) assert.deepEqual([...one.heard].sort(), contents);
});
