//! Who may have a plain JSON WebSocket: tokens, origins, limits, and what a refusal looks like.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ORIGINS, relais } from '../lib/servers.mjs';
import { now, sign } from '../lib/token.mjs';
import { House, unique } from './house.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
let server;
let dens;

before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio' });
  dens = await relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'den' });
});
after(() => Promise.all([server.remove(), dens.remove()]));

test('a refused token is an accepted WebSocket, closed with 1008 and the code as the reason, and nothing before it', async (t) => {
  const house = new House(t, server);
  const sub = 'alice';
  const tokens = [
    [undefined, 'TOKEN_MISSING'],
    ['', 'TOKEN_MISSING'],
    ['rubbish', 'TOKEN_INVALID'],
    [sign({ sub }, 'another-secret-of-the-same-length-as-ours-it-seems'), 'TOKEN_INVALID'],
    [sign({ sub }, server.secrets.JWT_SECRET, { alg: 'none' }), 'TOKEN_INVALID'],
    [house.token({ sub, app: 'classroom' }), 'TOKEN_INVALID'],
    [house.token({ sub, nbf: now() + 600 }), 'TOKEN_INVALID'],
    [house.token({ sub, exp: now() - 60 }), 'TOKEN_EXPIRED'],
  ];
  for (const [token, code] of tokens) {
    const client = house.open('/ws', { token });
    assert.equal(await client.opened, true);
    assert.deepEqual(await client.end(), { code: 1008, reason: code });
    assert.deepEqual(client.inbox.all, []);
  }
  const nobody = new House(t, dens);
  const client = nobody.open('/live', { token: nobody.token({ sub }) });
  assert.deepEqual(await client.end(), { code: 1008, reason: 'TENANT_REQUIRED' });
});

test('a token may come in the query or as Authorization, and reaches no log', async (t) => {
  const house = new House(t, server);
  const token = house.token({ sub: 'bearer', name: 'Bearer' });
  const client = house.open('/ws', {}, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await client.next('connected')).userId, 'bearer');
  const other = await house.enter('/ws', { sub: 'query' });
  assert.equal(other.hello.userId, 'query');
  for (const secret of [token, other.token, other.hello.sessionId]) {
    assert.equal(server.program.output.includes(secret), false);
  }
});

test('a page of a foreign origin is refused with 403, one of ours is let in', async (t) => {
  const house = new House(t, server);
  const token = house.token({ sub: 'page' });
  for (const origin of ['https://evil.example', `${ORIGINS[0]}.evil.example`, 'null']) {
    const response = await house.open('/ws', { token }, { origin }).refused;
    assert.equal(response.statusCode, 403, origin);
  }
  const client = house.open('/ws', { token }, { origin: ORIGINS[0] });
  assert.equal((await client.next('connected')).userId, 'page');
});

test('two tenants, and two apps, never see anything of each other', async (t) => {
  const house = new House(t, dens);
  const denId = unique('den');
  const enter = (sub, tenant, path = `/live/${denId}/now`) => house.enter(path, { sub, tenant });
  const [one, friend] = [await enter('same', 'a'), await enter('friend', 'a')];
  const [two, three] = [await enter('same', 'b'), await enter('same', 'a:b')];
  for (const client of [one, friend, two, three]) await client.next('entered', ({ den }) => den === denId);
  await one.next('came', ({ userId }) => userId === 'friend');
  await one.ok('say', { denId, text: 'for a' });
  assert.equal((await friend.next('second')).text, 'for a');
  for (const stranger of [two, three]) {
    await stranger.ok('say', { denId, text: 'for us' });
    await stranger.next('second');
    assert.deepEqual(stranger.all('second').map(({ data }) => data), [{ text: 'for us', seq: 1 }], 'its own numbers, its own messages');
    assert.deepEqual(stranger.all('came'), []);
  }
  // The session of one tenant is no session of another, for the same user name.
  const foreign = await enter('same', 'b');
  const stolen = await house.enter('/live', { sub: 'same', tenant: 'b' }, { query: { resume: one.hello.sessionId, after: 0 } });
  assert.equal(stolen.hello.resumed, false);
  assert.notEqual(stolen.hello.sessionId, foreign.hello.sessionId);
  assert.deepEqual(stolen.all('second'), []);
});

test('the limit of an event, of a session and of an address hold', async (t) => {
  const limited = await relais(process.env.RELAIS_BIN, {
    RELAIS_APPS_DIR: APPS,
    RELAIS_APP: 'den',
    RELAIS_EVENTS_PER_SECOND_MAX: '30',
    RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX: '4',
  });
  t.after(() => limited.remove());
  const house = new House(t, limited);
  const [one, two] = [await house.enter('/live/d/now', { sub: 'one', tenant: 'a' }), await house.enter('/live/d/now', { sub: 'two', tenant: 'a' })];
  // Of one event: 20 a minute.
  const answers = await Promise.all(Array.from({ length: 25 }, (_, n) => one.ask('say', { denId: 'd', text: `m${n}` })));
  const refused = answers.filter(({ success }) => !success);
  assert.equal(refused.length, 5);
  assert.ok(refused.every(({ error }) => error.code === 'RATE_LIMITED' && error.retryAfterMs > 0));
  // Of a session, frames that are none included: 30 a second, twice that at once.
  for (let n = 0; n < 100; n += 1) two.send('rubbish');
  const { retryAfterMs } = await two.next('error', ({ code }) => code === 'RATE_LIMITED');
  assert.ok(retryAfterMs > 0);
  // Of an address.
  await house.enter('/live', { sub: 'three', tenant: 'a' });
  await house.enter('/live', { sub: 'four', tenant: 'a' });
  const response = await house.open('/live', { token: house.token({ sub: 'five', tenant: 'a' }) }).refused;
  assert.equal(response.statusCode, 429);
  assert.ok(Number(response.headers['retry-after']) > 0);
});
