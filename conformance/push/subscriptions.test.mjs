//! The routes of a user's subscriptions: who may, what is refused, how many are kept, and how they are documented.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { World, scene } from './house.mjs';
import { Backend } from '../webhooks/backend.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually, pause } from '../lib/wait.mjs';

const SUBSCRIPTIONS = '/v1/push/subscriptions';

test('a browser is given the key and may subscribe, below the app and at the root', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  for (const at of ['', '/bam', '/classroom']) {
    const { status, body } = await world.http('GET', `${at}/v1/push/key`, { token: bob.token });
    assert.equal(status, 200);
    assert.deepEqual(body, { key: service.keys.publicKey });
    const browser = service.browser();
    const { body: taken } = await world.http('POST', `${at}${SUBSCRIPTIONS}`, { token: bob.token, body: browser.subscription });
    assert.equal(taken.subscription.endpoint, service.origin);
    assert.match(taken.subscription.createdAt, /Z$/);
  }
  const none = await world.http('GET', '/studio/v1/push/key', { token: bob.token });
  assert.equal(none.status, 404);
  assert.equal(none.body.code, 'NOT_FOUND');
});

test('only a user may, with a token of their own', async (t) => {
  const { service, world } = await scene(t);
  const { subscription } = service.browser();
  for (const [method, path] of [['GET', '/v1/push/key'], ['POST', SUBSCRIPTIONS], ['DELETE', SUBSCRIPTIONS]]) {
    const body = method === 'GET' ? undefined : subscription;
    const key = await world.http(method, path, { body });
    assert.deepEqual([key.status, key.body.code], [403, 'FORBIDDEN']);
    const wrong = await world.http(method, path, { body, token: 'a.b.c' });
    assert.deepEqual([wrong.status, wrong.body.code], [401, 'TOKEN_INVALID']);
  }
  const other = await world.http('PUT', SUBSCRIPTIONS, { body: subscription });
  assert.equal(other.status, 405);
});

test('an address inside the operator\'s network is refused, and one without TLS, and what is no key', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const good = service.browser().subscription;
  const endpoints = [
    'https://127.0.0.1/x', 'https://localhost/x', 'https://10.1.2.3/x', 'https://192.168.0.1/x', 'https://169.254.169.254/latest', 'https://[::1]/x',
    'https://[::ffff:10.0.0.1]/x', 'https://0x7f000001/x', 'https://2130706433/x', `http://127.0.0.1:${service.port + 1}/x`, 'http://push.example.org/x', 'ftp://push.example.org/x',
    'file:///etc/passwd', 'nothing', '', `https://push.example.org/${'x'.repeat(2100)}`,
  ];
  let asked = 0;
  const refused = async (body) => {
    // As many as a user may ask for in a minute, then another user.
    const who = asked++ % 25 === 0 ? Object.assign(bob, world.person('Bob')) : bob;
    const answer = await world.http('POST', SUBSCRIPTIONS, { token: who.token, body });
    assert.deepEqual([answer.status, answer.body.code], [400, 'INVALID_PAYLOAD'], JSON.stringify([body, answer.body]));
  };
  for (const endpoint of endpoints) await refused({ ...good, endpoint });
  const point = Buffer.from(good.keys.p256dh, 'base64url');
  point[40] ^= 1; // no longer on the curve
  for (const p256dh of ['', 'x', point.toString('base64url'), good.keys.p256dh.slice(2)]) await refused({ ...good, keys: { ...good.keys, p256dh } });
  for (const auth of ['', 'AAAA', 'A'.repeat(44)]) await refused({ ...good, keys: { ...good.keys, auth } });
  for (const body of [{}, { endpoint: good.endpoint }, { ...good, keys: null }]) await refused(body);
});

test('what the operator has opened for webhooks is not open to what a user writes down', async (t) => {
  const backend = await Backend.start(t);
  const { service, world } = await scene(t, backend.env);
  const bob = world.person('Bob');
  for (const endpoint of [backend.url, backend.url.replace('http:', 'https:')]) {
    const body = { ...service.browser().subscription, endpoint };
    const { status } = await world.http('POST', SUBSCRIPTIONS, { token: bob.token, body });
    assert.equal(status, 400);
  }
  await world.post(world.person('Alice'), { text: 'hello' });
  await pause(300);
  assert.equal(backend.forged + backend.requests.all.length, 0);
});

/** A name that this machine resolves to an address of its own, and that does not say so. */
function inwardName() {
  const lines = readFileSync('/etc/hosts', 'utf8').split('\n').map((line) => line.replace(/#.*/, '').trim().split(/\s+/));
  const inward = lines.filter(([address]) => /^(127\.|10\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|::1$|fe00|f[cd])/.test(address));
  return inward.flatMap(([, ...names]) => names).find((name) => !/localhost$/.test(name) || /^ip6-/.test(name));
}

test('a name that leads inwards is not asked, and forgotten', { skip: !inwardName() && 'this machine has no such name' }, async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const subscription = { ...service.browser().subscription, endpoint: `https://${inwardName()}:${service.port}/x` };
  assert.equal((await world.http('POST', SUBSCRIPTIONS, { token: bob.token, body: subscription })).status, 201);
  await world.post(world.person('Alice'), { text: 'hello' });
  await eventually('it is forgotten', async () => !(await world.http('GET', `/v1/users/${bob.id}/data`)).text.includes('"subscription"'));
  assert.equal(await world.metric('relais_pushes_total{outcome="gone"}'), 1);
});

test('a user has ten browsers, of which the oldest go, and may not ask all the time', async (t) => {
  const { service, world } = await scene(t);
  const bob = world.person('Bob');
  const alice = world.person('Alice');
  const browsers = [];
  for (let n = 0; n < 12; n += 1) browsers.push(await world.subscribe(service, bob));
  await world.post(alice, { text: 'hello' });
  await Promise.all(browsers.slice(2).map((browser) => browser.next()));
  await pause(300);
  assert.deepEqual(browsers.slice(0, 2).map(({ tried }) => tried), [0, 0]);
  let last;
  for (let n = 0; n < 30; n += 1) {
    last = await world.http('DELETE', SUBSCRIPTIONS, { token: bob.token, body: { endpoint: browsers[0].endpoint } });
    if (last.status === 429) break;
  }
  assert.deepEqual([last.status, last.body.code], [429, 'RATE_LIMITED']);
});

test('a redirect of a push service is not followed', async (t) => {
  const { service, world } = await scene(t);
  const browser = await world.subscribe(service, world.person('Bob'));
  const inner = service.browser();
  service.answer = (_, to) => (to === browser ? { status: 307, headers: { location: inner.endpoint } } : 201);
  await world.post(world.person('Alice'), { text: 'hello' });
  for (let n = 0; n < 100 && browser.tried === 0; n += 1) await pause(50);
  await pause(500);
  assert.deepEqual([browser.tried, inner.tried], [1, 0]);
});

test('without a key nothing is pushed, and in development mode there is one that stays', async (t) => {
  const server = await relais(process.env.RELAIS_BIN);
  t.after(() => server.remove());
  const world = new World(t, server);
  const none = await world.http('GET', '/v1/push/key', { token: world.person('Bob').token });
  assert.deepEqual([none.status, none.body.code], [404, 'NOT_FOUND']);
  const half = relais(process.env.RELAIS_BIN, { VAPID_PRIVATE_KEY: 'x'.repeat(43) });
  await assert.rejects(half, /vapid_subject/);
  const wrong = relais(process.env.RELAIS_BIN, { VAPID_PRIVATE_KEY: 'wrong', VAPID_SUBJECT: 'mailto:a@example.org' });
  await assert.rejects(wrong, /vapid_private_key/);
  const development = await relais(process.env.RELAIS_BIN, { JWT_SECRET: '', API_KEY: '' });
  t.after(() => development.remove());
  const key = async () => {
    const { token } = await (await fetch(`${development.url}/dev/token?user=alice`)).json();
    return (await fetch(`${development.url}/v1/push/key`, { headers: { authorization: `Bearer ${token}` } })).json();
  };
  const first = await key();
  assert.equal(Buffer.from(first.key, 'base64url').length, 65);
  await development.program.kill();
  await development.program.start();
  assert.deepEqual(await key(), first);
});

test('the routes are documented as they are, for users', async (t) => {
  const { world } = await scene(t);
  const { body } = await world.http('GET', '/bam/openapi.json');
  const route = body.paths[SUBSCRIPTIONS].post;
  assert.deepEqual(route.security, [{ userToken: [] }]);
  assert.ok('endpoint' in route.requestBody.content['application/json'].schema.properties);
  assert.deepEqual(body.paths['/v1/push/key'].get.security, [{ userToken: [] }]);
  assert.deepEqual(body.paths['/v1/stats'].get.security, [{ apiKey: [] }]);
});
