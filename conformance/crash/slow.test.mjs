//! Readers that are slow, or do not read at all: replay at their own pace, and nobody else waits.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Load } from '../lib/load.mjs';
import { http, token, unique } from '../lib/bam.mjs';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { relais } from '../lib/servers.mjs';
import { ask, connected, start } from '../lib/stock.mjs';
import { eventually } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const RECORDS = 10000;
const BYTES_PER_SECOND = 1_000_000;

/** A server without limits of events, and people in one room of it; `reader` is behind a proxy. */
async function scene(t, settings = {}) {
  const server = await relais(BIN, { RELAIS_EVENTS_PER_SECOND_MAX: '0', RELAIS_RECOVERY_RECORDS_MAX: '20000', ...settings });
  const proxy = await Proxy.to(server.url);
  const load = new Load(server);
  const sockets = [];
  t.after(async () => {
    sockets.forEach((socket) => socket.close());
    await proxy.close();
    await server.remove();
  });
  const join = async (name, url) => {
    const auth = { token: token({ sub: unique(name), name, bams: [load.bam] }, server.secrets.JWT_SECRET) };
    const { socket } = start(url, { transports: ['websocket'], auth });
    sockets.push(socket);
    const received = [];
    socket.on('new-message', (message) => received.push(message));
    await connected(socket);
    assert.equal((await ask(socket, 'join-bam', load.bam))[0].success, true);
    return { socket, received };
  };
  const say = async ({ socket }, content) => {
    const began = Date.now();
    const [answer] = await ask(socket, 'send-message', { bamId: load.bam, content });
    assert.equal(answer.success, true, JSON.stringify(answer));
    return { message: answer.message, took: Date.now() - began };
  };
  return { server, proxy, join, say };
}

/** Sends so many messages from a few people, a window of them under way at a time. */
async function flood(people, say, total, content) {
  let next = 0;
  const worker = async (person) => {
    while (next < total) {
      next += 1;
      await say(person, content(next));
    }
  };
  await Promise.all(people.flatMap((person) => Array.from({ length: 32 }, () => worker(person))));
}

test(`${RECORDS} records are replayed to a slow reader, in order, once each, while others are served`, { timeout: 240000 }, async (t) => {
  const { proxy, join, say } = await scene(t);
  const reader = await join('reader', proxy.url);
  const people = await Promise.all(['a', 'b', 'c', 'd'].map((name) => join(name, `http://127.0.0.1:${proxy.target.port}`)));
  proxy.refuse();
  await cutUntilGone(proxy, reader.socket);
  const wrote = Date.now();
  await flood(people, say, RECORDS, (n) => `record ${n}`);
  const writing = Date.now() - wrote;
  proxy.slow(BYTES_PER_SECOND);
  proxy.welcome();
  const began = Date.now();
  await connected(reader.socket, 10000);
  assert.equal(reader.socket.recovered, true);
  // Others talk meanwhile: their acks do not wait for the reader, and the reader gets these too, after the rest.
  let live = 0;
  let slowest = 0;
  while (reader.received.length < RECORDS) {
    const had = reader.received.length;
    const { took } = await say(people[0], 'meanwhile');
    live += 1;
    slowest = Math.max(slowest, took);
    await eventually('the replay goes on', () => reader.received.length > had);
    assert.ok(Date.now() - began < 120000, `${reader.received.length} of ${RECORDS} after two minutes`);
  }
  await eventually('the reader has what was said meanwhile', () => reader.received.length >= RECORDS + live, 20000);
  const seqs = reader.received.map((message) => message.seq);
  assert.deepEqual(seqs, Array.from({ length: RECORDS + live }, (_, n) => n + 1));
  t.diagnostic(`${RECORDS} written in ${writing} ms, replayed at ${BYTES_PER_SECOND} bytes/s in ${Date.now() - began} ms, with ${live} live acks, the slowest ${slowest} ms`);
});

test('a reader that never reads is closed, nobody waits for it, and it gets everything when it is back', { timeout: 240000 }, async (t) => {
  const { server, proxy, join, say } = await scene(t);
  const reader = await join('reader', proxy.url);
  const direct = `http://127.0.0.1:${proxy.target.port}`;
  const [alice, bob] = [await join('alice', direct), await join('bob', direct)];
  proxy.stall();
  // Far more than the outbox and both kernel buffers take.
  const total = 1500;
  const content = '😀'.repeat(4000);
  let slowest = 0;
  await flood([alice], async (person, text) => {
    const { took } = await say(person, text);
    slowest = Math.max(slowest, took);
  }, total, () => content);
  await eventually('another reader has them all', () => bob.received.length === total, 20000);
  const open = async () => (await http('GET', '/websocket/stats', { url: server.url, token: server.secrets.API_KEY })).body.activeConnections;
  await eventually('the server has closed the one that does not read', async () => (await open()) === 2, 20000);
  proxy.cut();
  proxy.resume();
  await eventually('it is back', () => reader.socket.connected && reader.received.length === total, 60000);
  assert.equal(reader.socket.recovered, true);
  assert.deepEqual(reader.received.map((message) => message.seq), Array.from({ length: total }, (_, n) => n + 1));
  t.diagnostic(`${total} messages of 16 kB beside a stalled reader, the slowest ack ${slowest} ms`);
});
