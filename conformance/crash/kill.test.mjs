//! kill -9 under load at random moments, again and again: C1 to C5 of the delivery contract over stock clients.

import test from 'node:test';
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { http, token, unique } from '../lib/bam.mjs';
import { Load } from '../lib/load.mjs';
import { relais } from '../lib/servers.mjs';
import { freePort } from '../lib/process.mjs';
import { pause } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const KILLS = Number(process.env.RELAIS_KILLS ?? 20);
const SENDERS = 12;
const RECEIVERS = 4;
const BACK_MS = 20000;

/**
 * A stock client whose server dies while it pauses polling for its upgrade (probe answered, poll released) keeps the paused
 * transport and notices nothing until the heartbeat is late, with any server. So the heartbeat is short here.
 */
const HEARTBEAT = { PING_INTERVAL: '1000', PING_TIMEOUT: '2000' };

/** Same numbers for the same seed, so that a run can be repeated. */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test(`${KILLS} kills under load: nothing acknowledged is lost, nothing comes twice, order holds, every session is recovered`, { timeout: 300000 }, async (t) => {
  const seed = Number(process.env.RELAIS_TEST_SEED ?? randomInt(1, 2 ** 31));
  const pick = random(seed);
  const server = await relais(BIN, { WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0', ...HEARTBEAT });
  const load = new Load(server);
  t.after(async () => {
    load.close();
    await server.remove();
  });
  await load.start({ senders: SENDERS, receivers: RECEIVERS });
  let slowest = 0;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    // Mostly in full flow; every fourth time while clients are still coming back.
    await pause(kill % 4 === 0 ? pick(120) : 100 + pick(700));
    await server.program.kill();
    await pause(pick(250));
    await server.program.start();
    const began = Date.now();
    if ((kill + 1) % 4 !== 0) {
      await load.reconnected(BACK_MS);
      slowest = Math.max(slowest, Date.now() - began);
    }
  }
  await load.reconnected(BACK_MS);
  const flowing = load.acked.size;
  await pause(300);
  await load.finish();
  assert.ok(load.acked.size > flowing, 'messages flow again after the last kill');
  const stored = await load.account();
  const { total, fresh } = load.returns();
  t.diagnostic(
    `seed ${seed}: ${KILLS} kills, ${load.acked.size} acked, ${stored.length} stored, ${RECEIVERS} receivers with all of them, ` +
      `${total} returns of which ${fresh} not recovered, all back within ${slowest} ms`,
  );
  assert.ok(total >= KILLS, 'clients did come back');
  assert.equal(fresh, 0, 'socket.recovered is true every time');
});

test('a restart loses no membership, no removal, no tempId and no private message', { timeout: 60000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()) });
  t.after(() => server.remove());
  const url = server.url;
  const key = server.secrets.API_KEY;
  const bam = unique('bam');
  const people = Object.fromEntries(['alice', 'bob', 'dora'].map((name) => {
    const id = unique(name);
    return [name, { id, token: token({ sub: id, name, bams: name === 'dora' ? [] : [bam] }, server.secrets.JWT_SECRET) }];
  }));
  const post = (who, body) => http('POST', `/bams/${bam}/messages`, { url, token: who.token, body });
  const first = await post(people.alice, { text: 'once', tempId: 'the-same' });
  await post(people.alice, { text: 'for Bob', toUserId: people.bob.id });
  await http('PUT', `/bams/${bam}/participants/${people.dora.id}`, { url, token: key });
  await http('DELETE', `/bams/${bam}/participants/${people.bob.id}`, { url, token: key });
  await server.program.kill();
  await server.program.start();
  assert.deepEqual((await post(people.alice, { text: 'once', tempId: 'the-same' })).body, first.body);
  assert.equal((await post(people.alice, { text: 'other', tempId: 'the-same' })).body.code, 'IDEMPOTENCY_CONFLICT');
  assert.equal((await post(people.bob, { text: 'removed' })).body.code, 'NOT_A_MEMBER');
  const page = await http('GET', `/bams/${bam}/messages`, { url, token: people.dora.token });
  assert.deepEqual(page.body.messages.map((message) => message.seq), [1]);
  assert.equal((await post(people.dora, { text: 'third' })).body.seq, 3);
});

test('kills in the middle of HTTP requests: what is sent again under its tempId is one message, and what was answered is there', { timeout: 60000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()) });
  t.after(() => server.remove());
  const { url } = server;
  const bam = unique('bam');
  const bearer = token({ sub: unique('alice'), name: 'Alice', bams: [bam] }, server.secrets.JWT_SECRET);
  const acked = new Map();
  let isBusy = true;
  let cut = 0;
  const sender = async (name) => {
    for (let n = 0; isBusy; n += 1) {
      const body = { text: `${name}-${n}`, tempId: `${name}-${n}` };
      // Until it is answered, as a client with a temporary id does.
      for (let answer; !answer; ) {
        answer = await http('POST', `/bams/${bam}/messages`, { url, token: bearer, body }).catch(() => (cut += 1) && pause(10));
        if (answer) assert.equal(answer.status, 201, JSON.stringify(answer.body));
        if (answer) acked.set(body.tempId, answer.body);
      }
    }
  };
  const senders = Array.from({ length: 6 }, (_, n) => sender(`sender-${n}`));
  for (let kill = 0; kill < 3; kill += 1) {
    await pause(150 + randomInt(300));
    await server.program.kill();
    await server.program.start();
  }
  await pause(150);
  isBusy = false;
  await Promise.all(senders);
  const stored = [];
  for (let page; !page || page.hasMore; stored.push(...page.messages)) {
    page = (await http('GET', `/bams/${bam}/messages?limit=100&after=${stored.at(-1)?.seq ?? 0}`, { url, token: bearer })).body;
  }
  t.diagnostic(`${acked.size} messages, ${cut} requests cut off or refused a connection`);
  assert.ok(cut > 0);
  assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, n) => n + 1));
  assert.deepEqual(new Map(stored.map((message) => [message.tempId, message])), acked);
});
