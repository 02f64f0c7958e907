//! What an operator relies on when much goes wrong at once: metrics that are not for everybody, tokens that all end in the same second,
//! memory that comes back when a crowd has gone.

import test from 'node:test';
import assert from 'node:assert/strict';
import { level, mib, resident } from '../lib/memory.mjs';
import { relais } from '../lib/servers.mjs';
import { now } from '../lib/token.mjs';
import { eventually, pause } from '../lib/wait.mjs';
import { PATIENCE_MS, Scene } from './scene.mjs';

const BIN = process.env.RELAIS_BIN;
const ENDING = 400;
const CROWD = 1500;
const ROOMS = 50;
const CROWDS_MAX = 5;
const SETTLED_MS = 12000;

/** A server and somebody at it. */
async function stage(t, settings) {
  const server = await relais(BIN, settings);
  const scene = new Scene({ ...server, tenant: undefined });
  t.after(async () => {
    scene.end();
    await server.remove();
  });
  return { server, scene };
}

/** So many sessions, some side by side. */
async function sessions(scene, count, claims) {
  const all = [];
  const worker = async () => {
    while (all.length < count) {
      const at = all.push(null) - 1;
      all[at] = await scene.session(claims(at));
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return all;
}

test('/metrics off loopback is for whom has an API key, in both forms and under both paths', { timeout: 60000 }, async (t) => {
  const { server, scene } = await stage(t, { WS_HOST: '0.0.0.0' });
  for (const path of ['/metrics', '/bam/metrics']) {
    for (const accept of ['application/json', 'text/plain']) {
      const ask = (bearer) => scene.request('GET', path, { bearer, headers: { accept } });
      const nobody = await ask(undefined);
      assert.deepEqual([nobody.status, nobody.body.code], [401, 'TOKEN_MISSING']);
      const user = await ask(scene.token());
      assert.deepEqual([user.status, user.body.code], [401, 'TOKEN_INVALID'], 'a user is not the operator');
      assert.equal((await ask(server.secrets.API_KEY)).status, 200);
    }
  }
  assert.equal((await scene.request('GET', '/healthz')).status, 200, 'health needs no key');
});

test(`${ENDING} tokens that end in the same second close their sessions, and hold up nobody else`, { timeout: 90000 }, async (t) => {
  const { scene } = await stage(t);
  const [alice, bob] = await sessions(scene, 2, () => ({ bams: ['talk'] }));
  for (const { wire } of [alice, bob]) assert.equal((await scene.ask(wire, 'join-bam', 'talk')).success, true);
  const end = now() + 10;
  const ending = await sessions(scene, ENDING, () => ({ exp: end }));
  const codes = ending.map(({ wire }) => wire.closeCode(PATIENCE_MS + 15000));
  let over = false;
  const closed = Promise.all(codes).finally(() => (over = true));
  closed.catch(() => {});
  let [said, slowest] = [0, 0];
  while (!over) {
    const began = performance.now();
    const answer = await scene.ask(alice.wire, 'send-message', { bamId: 'talk', content: 'as always' });
    slowest = Math.max(slowest, performance.now() - began);
    if (answer.success) said += 1;
    else await pause(answer.error.retryAfterMs ?? assert.fail(answer.error.code));
  }
  assert.deepEqual(new Set(await closed), new Set([1008]));
  const heard = () => bob.wire.frames.all.filter(({ text }) => text.startsWith('42["new-message"')).length;
  await eventually('the other has heard everything', () => heard() === said, PATIENCE_MS);
  t.diagnostic(`${said} messages meanwhile, the slowest ack ${slowest.toFixed(0)} ms`);
});

test(`memory is back when a crowd of ${CROWD} has gone`, { timeout: 240000 }, async (t) => {
  const { server, scene } = await stage(t, { RELAIS_STORE_CACHE_BYTES_MAX: '5242880' });
  const { pid } = server.program.child;
  const crowd = async () => {
    const all = await sessions(scene, CROWD, (n) => ({ sub: `u${n}`, bams: [n % ROOMS] }));
    await Promise.all(all.map(({ wire }, n) => scene.ask(wire, 'join-bam', n % ROOMS)));
    const peak = resident(pid);
    for (const { wire } of all) wire.end();
    const left = () => scene.request('GET', '/metrics', { headers: { accept: 'application/json' } });
    await eventually('all are gone', async () => (await left()).body.activeConnections === 0, PATIENCE_MS);
    return peak;
  };
  const first = await level(pid, { looks: 3 });
  // What crowds leave is meant to be kept: who was here lately, pages of the store, the program itself. All of that has an end: one of
  // them has to leave next to nothing. What leaks never comes to that.
  await crowd();
  await pause(SETTLED_MS);
  let [base, peak, lowest] = [0, 0, Infinity];
  for (let crowds = 0; crowds < CROWDS_MAX && lowest > base * 1.05; crowds += 1) {
    base = await level(pid);
    peak = await crowd();
    lowest = Infinity;
    await eventually('the memory is back', () => (lowest = Math.min(lowest, resident(pid))) <= base * 1.05, SETTLED_MS).catch(() => {});
  }
  t.diagnostic(`${mib(first)} at first, ${mib(base)} after crowds, ${mib(peak)} with the last, ${mib(lowest)} after it`);
  assert.ok(lowest <= base * 1.05, `${mib(base)} before, ${mib(lowest)} at the lowest within ${SETTLED_MS} ms`);
});
