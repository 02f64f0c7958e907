//! Pushes to browsers, in `bam`: to whom, once, what it says, what becomes of it when it is read or cannot be delivered.

import test from 'node:test';
import assert from 'node:assert/strict';
import { scene } from './house.mjs';
import { eventually, pause } from '../lib/wait.mjs';

/** After the longest grace of the server, in which it waits for somebody to come back. */
const GRACE_MS = 10000;
/** Long enough for a push that should not be there. */
const SETTLED_MS = 700;

test('whoever is away gets what was said, encrypted for their browser alone; who is here and who said it get nothing', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe] = [world.person('Bob'), await world.enter('Chloé')];
  const alice = await world.enter('Alice');
  const browser = await world.subscribe(service, bob);
  const others = [await world.subscribe(service, chloe), await world.subscribe(service, alice)];
  const message = await world.say(alice, 'Has anybody seen the keys?');
  const push = await browser.next();
  assert.deepEqual(push.payload, {
    type: 'message.sent',
    title: 'Alice',
    body: 'Has anybody seen the keys?',
    tag: `bam-${world.bam}`,
    at: message.createdAt,
    data: { room: `bam-${world.bam}`, roomId: world.bam, messageId: message.id, seq: 1, senderId: alice.id, senderName: 'Alice', kind: 'text' },
  });
  assert.equal(push.urgency, 'normal');
  assert.equal(push.ttl, 86400);
  const later = await world.say(alice, 'é'.repeat(4000));
  const second = await browser.next();
  assert.equal(second.topic, push.topic);
  assert.equal(second.payload.data.messageId, later.id);
  assert.equal(second.payload.body, `${'é'.repeat(240)}…`);
  await pause(SETTLED_MS);
  assert.equal(browser.all.length, 2);
  for (const other of others) assert.equal(other.tried, 0);
  assert.equal(await world.metric('relais_pushes_total{outcome="sent"}'), 2);
});

test('every browser of a user gets it once, and one that was given back none', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = await world.enter('Alice');
  const [desk, phone, old] = [await world.subscribe(service, bob), await world.subscribe(service, bob), await world.subscribe(service, bob)];
  // Taken again, as pages do it each time they are loaded.
  assert.equal((await world.http('POST', '/v1/push/subscriptions', { token: bob.token, body: desk.subscription })).status, 201);
  const gone = await world.http('DELETE', '/v1/push/subscriptions', { token: bob.token, body: { endpoint: old.endpoint } });
  assert.equal(gone.status, 204);
  await world.say(alice, 'hello');
  await Promise.all([desk.next(), phone.next()]);
  await pause(SETTLED_MS);
  assert.deepEqual([desk.tried, phone.tried, old.tried], [1, 1, 0]);
});

test('a private message is pushed to its recipient alone, and wakes a telephone', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe] = [world.person('Bob'), world.person('Chloé')];
  const alice = world.person('Alice');
  const [own, other] = [await world.subscribe(service, bob), await world.subscribe(service, chloe)];
  await world.post(alice, { text: 'between us', toUserId: bob.id });
  const push = await own.next();
  assert.equal(push.payload.body, 'between us');
  assert.equal(push.urgency, 'high');
  await pause(SETTLED_MS);
  assert.equal(other.tried, 0);
});

test('who is only on the way back gets nothing, and who does not come back gets it when the grace is over', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe] = [await world.enter('Bob'), await world.enter('Chloé')];
  const alice = await world.enter('Alice');
  const [back, gone] = [await world.subscribe(service, bob), await world.subscribe(service, chloe)];
  // The links break: nobody says goodbye.
  chloe.socket.io.reconnection(false);
  for (const one of [bob, chloe]) one.socket.io.engine.transport.ws.terminate();
  await world.say(alice, 'are you there?');
  assert.equal((await gone.next('a push after the grace', GRACE_MS + 2000)).payload.body, 'are you there?');
  assert.equal(back.tried, 0);
});

test('what is read elsewhere is withdrawn from every browser that shows it, under the same topic', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = await world.enter('Alice');
  const [desk, phone] = [await world.subscribe(service, bob), await world.subscribe(service, bob)];
  const first = await world.say(alice, 'one');
  const [shown] = await Promise.all([desk.next(), phone.next()]);
  const second = await world.say(alice, 'two');
  await Promise.all([desk.next(), phone.next()]);
  const there = await world.enter(bob);
  // The older one alone: what the browsers show is newer.
  await there.ok('mark-read', { bamId: world.bam, seq: first.seq });
  await pause(SETTLED_MS);
  assert.equal(desk.tried, 2);
  await there.ok('mark-read', { bamId: world.bam, seq: second.seq });
  for (const browser of [desk, phone]) {
    const push = await browser.next('a withdrawal');
    assert.deepEqual(push.payload, { type: 'withdraw', tag: `bam-${world.bam}` });
    assert.equal(push.topic, shown.topic);
  }
  // There is nothing left to withdraw.
  const third = await world.say(alice, 'three');
  await there.ok('mark-read', { bamId: world.bam, seq: third.seq });
  await pause(SETTLED_MS);
  assert.deepEqual([desk.tried, phone.tried], [3, 3]);
});

test('what is read before it could be delivered is never delivered', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = await world.enter('Alice');
  const browser = await world.subscribe(service, bob);
  service.answer = () => ({ status: 503, headers: { 'retry-after': '2' } });
  const message = await world.say(alice, 'too late');
  await eventually('a first attempt', () => browser.tried === 1);
  const there = await world.enter(bob);
  await there.ok('mark-read', { bamId: world.bam, seq: message.seq });
  there.socket.close();
  service.answer = () => 201;
  await pause(4000);
  assert.equal(browser.tried, 1);
});

test('what a push service cannot take now is sent again when it says so, and only the newest of it', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = await world.enter('Alice');
  const browser = await world.subscribe(service, bob);
  service.answer = () => ({ status: 429, headers: { 'retry-after': '3' } });
  const refused = Date.now();
  await world.say(alice, 'first');
  await eventually('a first attempt', () => browser.tried === 1);
  service.answer = () => 201;
  for (const text of ['second', 'third']) await world.say(alice, text);
  const push = await browser.next('the newest', 15000);
  assert.equal(push.payload.body, 'third');
  assert.ok(Date.now() - refused >= 3000, 'it waits as it was told');
  await pause(SETTLED_MS);
  assert.equal(browser.tried, 2);
});

test('a browser that is gone is forgotten, and what can never be delivered is a dead letter', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe] = [world.person('Bob'), world.person('Chloé')];
  const alice = await world.enter('Alice');
  const [gone, refused] = [await world.subscribe(service, bob), await world.subscribe(service, chloe)];
  service.answer = (push, browser) => (browser === gone ? 410 : 403);
  await world.say(alice, 'one');
  const letters = async () => (await world.http('GET', '/v1/dead-letters?queue=push')).body.deadLetters;
  const [letter] = await eventually('a dead letter', async () => {
    const found = await letters();
    return found.length > 0 && found;
  });
  assert.equal(letter.reason, 'answered 403');
  const text = JSON.stringify(letter);
  assert.ok(!text.includes(refused.path) && !text.includes('one"'), text);
  await eventually('the gone one was asked', () => gone.tried === 1);
  service.answer = () => 201;
  await world.say(alice, 'two');
  assert.equal((await refused.next()).payload.body, 'two');
  await pause(SETTLED_MS);
  assert.equal(gone.tried, 1);
  assert.deepEqual(await letters(), []);
  assert.equal(await world.metric('relais_pushes_total{outcome="gone"}'), 1);
});

test('a push is there once after kill -9 and a restart, before and after it was delivered', { timeout: 120000 }, async (t) => {
  const { service, server, world } = await scene(t);
  const bob = world.person('Bob');
  const browser = await world.subscribe(service, bob);
  const alice = world.person('Alice');
  const shown = [];
  for (let kill = 0; kill < 4; kill += 1) {
    const before = browser.tried;
    const sent = await world.metric('relais_pushes_total{outcome="sent"}');
    // Every other time the push service holds its answer: the server dies without knowing whether it was taken.
    const isHeld = kill % 2 === 1;
    service.answer = () => (isHeld ? new Promise(() => {}) : 201);
    await world.post(alice, { text: `message ${kill}` });
    await eventually('it is sent', () => browser.tried > before);
    if (!isHeld) await eventually('it is noted', async () => (await world.metric('relais_pushes_total{outcome="sent"}')) > sent);
    if (!isHeld) await pause(200);
    await server.program.kill();
    service.answer = () => 201;
    await server.program.start();
    shown.push((await browser.next(`message ${kill}`, 15000)).payload.body);
    await pause(SETTLED_MS);
    assert.equal(browser.tried, before + (isHeld ? 2 : 1));
  }
  assert.deepEqual(shown, [0, 1, 2, 3].map((kill) => `message ${kill}`));
  assert.equal(browser.all.length, 4);
});

test('whoever was here when the server was killed is not away until they had time to come back', { timeout: 60000 }, async (t) => {
  const { service, server, world } = await scene(t);
  const bob = await world.enter('Bob');
  const browser = await world.subscribe(service, bob);
  await pause(1500); // presence is stored every second
  await server.program.kill();
  await server.program.start();
  await world.post(world.person('Alice'), { text: 'back so soon?' });
  await eventually('Bob is back', () => bob.socket.connected, 10000);
  await pause(3000);
  assert.equal(browser.tried, 0);
});

test('two tenants do not cross', async (t) => {
  const { service, world } = await scene(t);
  const of = (name, tenant, sub) => world.person(name, { tenant, sub });
  const [one, two] = [of('Bob', 'one', 'bob'), of('Bob', 'two', 'bob')];
  const [browser, other] = [await world.subscribe(service, one), await world.subscribe(service, two)];
  await world.post(of('Alice', 'two', 'alice'), { text: 'in two' });
  assert.equal((await other.next()).payload.body, 'in two');
  await world.post(of('Alice', 'one', 'alice'), { text: 'in one' });
  assert.equal((await browser.next()).payload.body, 'in one');
  // The same address in both is two subscriptions, and given back in one it is there in the other.
  const taken = await world.http('POST', '/v1/push/subscriptions', { token: two.token, body: browser.subscription });
  assert.equal(taken.status, 201);
  await world.http('DELETE', '/v1/push/subscriptions', { token: two.token, body: { endpoint: browser.endpoint } });
  await world.post(of('Alice', 'one', 'alice'), { text: 'still in one' });
  assert.equal((await browser.next()).payload.body, 'still in one');
  await pause(SETTLED_MS);
  assert.deepEqual([browser.tried, other.tried], [2, 1]);
});

test('a browser at which somebody else logs in is theirs alone', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe] = [world.person('Bob'), world.person('Chloé')];
  const alice = world.person('Alice');
  const browser = await world.subscribe(service, bob);
  const taken = await world.http('POST', '/v1/push/subscriptions', { token: chloe.token, body: browser.subscription });
  assert.equal(taken.status, 201);
  await world.post(alice, { text: 'for Bob', toUserId: bob.id });
  await world.post(alice, { text: 'for Chloé', toUserId: chloe.id });
  assert.equal((await browser.next()).payload.body, 'for Chloé');
  await pause(SETTLED_MS);
  assert.equal(browser.tried, 1);
});

test('a removed member and a revoked user get nothing more', async (t) => {
  const { service, world } = await scene(t);
  const [bob, chloe, dan] = ['Bob', 'Chloé', 'Dan'].map((name) => world.person(name));
  const alice = await world.enter('Alice');
  const [removed, revoked, kept] = [await world.subscribe(service, bob), await world.subscribe(service, chloe), await world.subscribe(service, dan)];
  assert.equal((await world.http('DELETE', `/bams/${world.bam}/participants/${bob.id}`)).status, 200);
  assert.equal((await world.http('PUT', `/v1/users/${chloe.id}/revocation`, { body: {} })).status, 200);
  await world.say(alice, 'without you');
  await kept.next();
  await pause(SETTLED_MS);
  assert.deepEqual([removed.tried, revoked.tried], [0, 0]);
});

test('one user\'s data has the push service and no address or key, and an erased user gets nothing', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = await world.enter('Alice');
  const browser = await world.subscribe(service, bob);
  const lines = async () => {
    const { text } = await world.http('GET', `/v1/users/${bob.id}/data`);
    for (const secret of [browser.path, browser.subscription.keys.auth]) assert.ok(!text.includes(secret));
    return text.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter(({ type }) => type === 'subscription');
  };
  const [line] = await lines();
  assert.deepEqual(Object.keys(line.data).sort(), ['createdAt', 'endpoint']);
  assert.equal(line.data.endpoint, service.origin);
  assert.equal((await world.http('DELETE', `/v1/users/${bob.id}/data`)).status, 200);
  assert.deepEqual(await lines(), []);
  await world.say(alice, 'to nobody');
  await pause(SETTLED_MS);
  assert.equal(browser.tried, 0);
});
