//! Presence across faults: a restart that nobody notices but those who stay away, and a client that goes silent.

import test from 'node:test';
import assert from 'node:assert/strict';
import { People } from '../lib/people.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { relais } from '../lib/servers.mjs';
import { freePort } from '../lib/process.mjs';
import { ask, connected, own } from '../lib/stock.mjs';
import { eventually, pause } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const GRACE_MS = 5000;
const SLACK_MS = 3000;
/** Nothing waits for the disk when somebody comes; this long after it, it is stored. */
const STORED_MS = 3000;
/** How soon a server that is watched closely notices silence: ping interval and timeout. */
const [INTERVAL_MS, PATIENCE_MS] = [1000, 1000];

/** A server that notices silence soon, people, and a proxy in front of it. */
async function watched(t) {
  const server = await relais(BIN, { PING_INTERVAL: String(INTERVAL_MS), PING_TIMEOUT: String(PATIENCE_MS) });
  t.after(() => server.remove());
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  return { server, people: new People(t, server), proxy };
}

test('after kill -9 who resumes is not announced, and who does not is, once, after the grace', { timeout: 60000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()) });
  t.after(() => server.remove());
  const people = new People(t, server);
  const [alice, bob, chloe] = [await people.enter('alice'), await people.enter('bob'), await people.enter('chloe')];
  await alice.hears('user-joined-bam', chloe);
  assert.equal((await ask(bob.socket, 'status-change', 'busy'))[0].success, true);
  await alice.hears('presence-update', bob);
  await pause(STORED_MS);
  const gone = [own(alice.socket, 'disconnect'), own(bob.socket, 'disconnect')];
  chloe.socket.io.reconnection(false);
  await server.program.kill();
  await Promise.all(gone);
  await server.program.start();
  await Promise.all([connected(alice.socket, 10000), connected(bob.socket, 10000)]);
  assert.deepEqual([alice.socket.recovered, bob.socket.recovered], [true, true]);
  const { args } = await alice.hears('user-left-bam', chloe, GRACE_MS + SLACK_MS);
  assert.equal(args[0].bamId, people.bam);
  const [answer] = await ask(alice.socket, 'join-bam', people.bam);
  assert.deepEqual(answer.onlineUsers.map((user) => user.userId).sort(), [alice.id, bob.id].sort());
  assert.deepEqual([alice.about('user-joined-bam', bob).length, alice.about('user-left-bam', bob).length], [1, 0], 'Bob was never away');
  assert.equal(alice.about('user-left-bam', chloe).length, 1);
});

test('a client that goes silent is gone after ping interval, timeout and a second, with no further grace', { timeout: 60000 }, async (t) => {
  const { server, people, proxy } = await watched(t);
  const alice = await people.enter('alice');
  const bob = await people.enter('bob', { url: proxy.url });
  await alice.hears('user-joined-bam', bob);
  proxy.refuse();
  const began = Date.now();
  proxy.stall();
  await alice.hears('user-left-bam', bob, INTERVAL_MS + PATIENCE_MS + 1000 + SLACK_MS);
  const waited = Date.now() - began;
  t.diagnostic(`seen after ${waited} ms`);
});

test('half-open connections are freed within interval, timeout and two seconds', { timeout: 60000 }, async (t) => {
  const { server, people, proxy } = await watched(t);
  for (let n = 0; n < 20; n += 1) await people.enter(`guest${n}`, { url: proxy.url });
  const open = async () => {
    const response = await fetch(`${server.url}/websocket/stats`, { headers: { authorization: `Bearer ${server.secrets.API_KEY}` } });
    return (await response.json()).activeConnections;
  };
  assert.equal(await open(), 20);
  proxy.refuse();
  proxy.stall();
  await eventually('all are freed', async () => (await open()) === 0, INTERVAL_MS + PATIENCE_MS + 2000 + 500);
});
