//! The server-to-server API as a team's backend uses it: each route, who may, what is refused, two tenants, and one user's data.
//!
//! Seen through stock clients of `bam`, whose app file declares none of these routes.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, World, assertProblem, assertTime, http, httpGuess, unique } from '../lib/bam.mjs';

const v1 = (method, path, body, more = {}) => http(method, `/v1${path}`, { token: KEY, body, ...more });

async function ok(status, ...call) {
  const response = await v1(...call);
  assert.equal(response.status, status, JSON.stringify(response.body));
  return response.body;
}

const room = (world) => `bam-${world.bam}`;
const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

/** Every route, with a body that would do. */
const routes = (world) => [
  ['POST', '/events', { to: { user: unique('nobody') }, event: 'x', data: 1 }],
  ['GET', `/rooms/${room(world)}/messages`],
  ['POST', `/rooms/${room(world)}/messages`, { sender: { id: unique('bot') }, body: 'x' }],
  ['GET', `/rooms/${room(world)}/members`],
  ['PUT', `/rooms/${room(world)}/members/a`],
  ['DELETE', `/rooms/${room(world)}/members/a`],
  ['GET', `/rooms/${room(world)}/online`],
  ['GET', '/direct/a/b/messages'],
  ['POST', '/direct/a/b/messages', { sender: { id: 'a' }, body: 'x' }],
  ['GET', '/presence'],
  ['GET', '/users/a/presence'],
  ['POST', '/users/a/notifications', { title: 'x', message: 'y' }],
  ['DELETE', '/users/a/sessions'],
  ['PUT', '/users/zoe/mute', { seconds: 1 }],
  ['DELETE', '/users/zoe/mute'],
  ['PUT', '/users/zoe/revocation', { seconds: 1 }],
  ['DELETE', '/users/zoe/revocation'],
  ['PUT', '/tokens/t-1/revocation', { seconds: 1 }],
  ['DELETE', '/tokens/t-1/revocation'],
  ['GET', '/users/a/data'],
  ['DELETE', '/users/a/data'],
  ['GET', '/stats'],
  ['GET', '/dead-letters'],
];

/** Needs a letter that was given up: see webhooks/. */
const RESEND = ['POST', '/dead-letters/0198c2f2-0000-7000-8000-000000000000/resend'];

test('every route takes an API key, under the app and at the root, and nothing else', async (t) => {
  const world = new World(t);
  const user = world.person('Alice', { role: 'admin' }).token;
  for (const [method, path, body] of routes(world)) {
    const what = `${method} ${path}`;
    for (const prefix of ['', '/bam']) {
      const response = await http(method, `${prefix}/v1${path}`, { token: KEY, body });
      assert.ok(response.status < 300, `${what}: ${response.status} ${JSON.stringify(response.body)}`);
    }
    assertProblem(await http(method, `/v1${path}`, { body }), 401, 'TOKEN_MISSING');
    assertProblem(await http(method, `/v1${path}`, { body, token: user }), 403, 'FORBIDDEN');
  }
  assertProblem(await httpGuess('GET', '/v1/stats', { token: 'nonsense' }), 401, 'TOKEN_INVALID');
});

test('the document has exactly these routes besides those of the app file', async (t) => {
  const world = new World(t);
  const { status, body } = await http('GET', '/openapi.json');
  assert.equal(status, 200);
  const all = Object.entries(body.paths).flatMap(([path, item]) =>
    Object.keys(item).filter((key) => path.startsWith('/v1/') && key !== 'parameters').map((method) => `${method.toUpperCase()} ${path}`));
  // Those of a user's pushes are for users: `push/` has them.
  const documented = all.filter((one) => !one.includes(' /v1/push/'));
  assert.equal(all.length, documented.length + 3);
  const backend = [...routes(world), RESEND];
  assert.equal(documented.length, backend.length);
  for (const [method, path] of backend) {
    const fits = (one) => new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(`${method} /v1${path}`);
    assert.ok(documented.some(fits), `${method} ${path}`);
  }
});

test('unknown paths, other methods and rooms that the app does not have are told apart', async () => {
  assertProblem(await v1('GET', '/nothing'), 404, 'NOT_FOUND');
  const response = await v1('POST', '/presence', {});
  assertProblem(response, 405, 'METHOD_NOT_ALLOWED');
  assert.equal(response.headers.get('allow'), 'GET');
  assertProblem(await v1('GET', '/rooms/kitchen/members'), 404, 'NOT_FOUND');
});

test('a body or a query that does not fit is refused with the place in it', async (t) => {
  const world = new World(t);
  const refused = async (field, ...call) => {
    const response = await v1(...call);
    assertProblem(response, 400, 'INVALID_PAYLOAD');
    assert.match(response.body.detail, field);
  };
  await refused(/"to"/, 'POST', '/events', { to: { planet: 'x' }, event: 'x', data: 1 });
  await refused(/body/, 'POST', '/events', { event: 'x', data: 1 });
  await refused(/Socket\.IO keeps/, 'POST', '/events', { to: { everyone: true }, event: 'connect', data: 1 });
  await refused(/"body"/, 'POST', `/rooms/${room(world)}/messages`, { sender: { id: 'a' }, body: '' });
  await refused(/"seconds"/, 'PUT', '/users/a/mute', { seconds: 0 });
  await refused(/"limit"/, 'GET', '/presence?limit=0');
  await refused(/"before"/, 'GET', `/rooms/${room(world)}/messages?before=x`);
});

test('an event goes to a user, a room, a role, to several of them once, or to everyone', async (t) => {
  const world = new World(t);
  const [alice] = await world.room('Alice');
  const role = unique('role');
  const bob = await world.connect(world.person('Bob', { bams: [], role: 'admin' }));
  const cases = [
    [{ user: alice.id }, [alice]],
    [{ room: room(world) }, [alice]],
    [[{ user: bob.id }, { room: room(world) }, { user: alice.id }], [alice, bob]],
    [{ role: 'admin' }, [bob]],
    [{ everyone: true }, [alice, bob]],
  ];
  for (const [to, members] of cases) {
    for (const volatile of [false, true]) {
      const event = unique('news');
      const body = await ok(200, 'POST', '/events', { to, event, data: { n: [1] }, volatile });
      assert.ok(body.recipients >= members.length, JSON.stringify(body));
      assert.equal(body.online, true);
      assert.deepEqual(Object.keys(body).sort(), ['online', 'recipients']);
      for (const member of members) assert.deepEqual(await member.next(event), { n: [1] });
    }
  }
  const nobody = await ok(200, 'POST', '/events', { to: { role }, event: 'x', data: null });
  assert.deepEqual(nobody, { recipients: 0, online: false });
});

test('a message on behalf of a user is a message like any other, once for a key', async (t) => {
  const world = new World(t);
  const [alice] = await world.room('Alice');
  const path = `/rooms/${room(world)}/messages`;
  const sent = { sender: { id: 'bot', name: 'Bot', role: 'helper' }, body: 'at your service', key: 'k1' };
  const { message } = await ok(201, 'POST', path, sent);
  const shown = await alice.next('new-message');
  assert.equal(shown.id, message.id);
  assert.equal(message.room, room(world));
  assert.deepEqual(message.sender, { id: 'bot', name: 'Bot', role: 'helper' });
  assert.equal((await ok(201, 'POST', path, sent)).message.id, message.id);
  assertProblem(await v1('POST', path, { ...sent, body: 'other' }), 409, 'IDEMPOTENCY_CONFLICT');
  await ok(200, 'DELETE', `/rooms/${room(world)}/members/bot`);
  assertProblem(await v1('POST', path, { sender: { id: 'bot' }, body: 'x' }), 403, 'NOT_A_MEMBER');
});

test('pages of a room and of a direct conversation show the backend everything', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  await alice.say(world.bam, 'to all');
  await alice.say(world.bam, 'to bob', { toUserId: bob.id });
  const path = `/rooms/${room(world)}/messages`;
  const all = await ok(200, 'GET', path);
  assert.deepEqual(all.messages.map(({ body }) => body), ['to all', 'to bob']);
  assert.equal(all.hasMore, false);
  const first = await ok(200, 'GET', `${path}?after=0&limit=1`);
  assert.deepEqual([first.messages.length, first.messages[0].seq, first.hasMore], [1, 1, true]);
  const pair = `/direct/${alice.id}/${bob.id}/messages`;
  await ok(201, 'POST', pair, { sender: { id: bob.id, name: 'Bob' }, body: 'psst' });
  const turned = await ok(200, 'GET', `/direct/${bob.id}/${alice.id}/messages`);
  assert.deepEqual(turned.messages.map(({ body, recipient }) => [body, recipient]), [['psst', alice.id]]);
  assertProblem(await v1('POST', pair, { sender: { id: 'eve' }, body: 'x' }), 403, 'NOT_A_MEMBER');
});

test('members are added, listed and removed, and who is online is known', async (t) => {
  const world = new World(t);
  const person = world.person('Carol', { bams: [] });
  const members = `/rooms/${room(world)}/members`;
  assert.deepEqual(await ok(200, 'PUT', `${members}/${person.id}`), { room: room(world), userId: person.id });
  const list = await ok(200, 'GET', members);
  assert.deepEqual(list.members.map(({ userId }) => userId), [person.id]);
  assertTime(list.members[0].addedAt);
  const carol = await world.connect(person);
  await carol.join(world.bam);
  const online = await ok(200, 'GET', `/rooms/${room(world)}/online`);
  assert.deepEqual([online.count, online.users[0].userId], [1, carol.id]);
  const presence = await ok(200, 'GET', `/users/${carol.id}/presence`);
  assert.deepEqual([presence.online, presence.userName], [true, 'Carol']);
  const page = await ok(200, 'GET', `/presence?limit=1&after=${carol.id.slice(0, -1)}`);
  assert.equal(page.users[0].userId, carol.id);
  await ok(200, 'DELETE', `${members}/${carol.id}`);
  assert.deepEqual((await ok(200, 'GET', `/rooms/${room(world)}/online`)).users, []);
  assert.equal((await ok(200, 'GET', `/users/${unique('nobody')}/presence`)).online, false);
});

test('a mute, a revocation and a disconnection do what they say, and are taken back', async (t) => {
  const world = new World(t);
  const person = world.person('Alice', { jti: unique('token'), iat: Math.floor(Date.now() / 1000) - 60 });
  const alice = await world.enter(person);
  const mute = await ok(200, 'PUT', `/users/${alice.id}/mute`, { seconds: 600 });
  assert.ok(Date.parse(mute.until) > Date.now());
  await alice.refused('FORBIDDEN', 'send-message', { bamId: world.bam, content: 'x' });
  assertProblem(await v1('POST', `/rooms/${room(world)}/messages`, { sender: { id: alice.id }, body: 'x' }), 403, 'FORBIDDEN');
  await ok(204, 'DELETE', `/users/${alice.id}/mute`);
  await alice.say(world.bam, 'back again');

  const gone = new Promise((resolve) => alice.socket.once('disconnect', resolve));
  await ok(204, 'DELETE', `/users/${alice.id}/sessions`);
  await gone;
  for (const path of [`/tokens/${person.claims.jti}/revocation`, `/users/${alice.id}/revocation`]) {
    const again = await world.connect(person);
    const closed = new Promise((resolve) => again.socket.once('disconnect', resolve));
    assert.deepEqual(await ok(200, 'PUT', path), {});
    await closed;
    assertProblem(await http('GET', `/bams/${world.bam}/messages`, { token: person.token }), 401, 'TOKEN_INVALID');
    await ok(204, 'DELETE', path);
    assert.equal((await http('GET', `/bams/${world.bam}/messages`, { token: person.token })).status, 200);
  }
});

test('a mute holds for a user whose id is a number, and for the same digits as text', async (t) => {
  const world = new World(t);
  const id = Math.floor(Math.random() * 2 ** 40);
  const forms = await Promise.all([id, String(id)].map((sub) => world.enter(world.person('Alice', { sub }))));
  await ok(200, 'PUT', `/users/${id}/mute`, { seconds: 600 });
  for (const alice of forms) await alice.refused('FORBIDDEN', 'send-message', { bamId: world.bam, content: 'x' });
  assertProblem(await v1('POST', `/rooms/${room(world)}/messages`, { sender: { id }, body: 'x' }), 403, 'FORBIDDEN');
  await ok(204, 'DELETE', `/users/${id}/mute`);
  for (const alice of forms) await alice.say(world.bam, 'back again');
});

test('an export has what is stored about one user, and an erasure leaves nothing of it in pages', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const secret = unique('secret');
  await alice.say(world.bam, secret);
  await bob.say(world.bam, 'hello');
  await ok(200, 'PUT', `/rooms/${room(world)}/members/${alice.id}`);
  await ok(201, 'POST', `/users/${alice.id}/notifications`, { title: 'x', message: secret });
  const data = `/users/${alice.id}/data`;
  const exported = await v1('GET', data);
  assert.match(exported.headers.get('content-type'), /^application\/x-ndjson/);
  const types = lines(exported.body).map(({ type }) => type);
  for (const type of ['presence', 'membership', 'notification', 'message']) assert.ok(types.includes(type), `${type} in ${types}`);
  const message = lines(exported.body).find(({ type }) => type === 'message');
  assert.deepEqual([message.data.body, message.data.room], [secret, room(world)]);

  // Whose token is still good may come back after it, and is there again.
  alice.close();
  const erased = await ok(200, 'DELETE', data);
  assert.deepEqual([erased.messages, erased.memberships], [1, 1]);
  assert.ok(erased.records >= 1);
  const page = await ok(200, 'GET', `/rooms/${room(world)}/messages`);
  assert.deepEqual(page.messages.map(({ seq, body, sender }) => [seq, body, sender.id]), [[1, '', ''], [2, 'hello', bob.id]]);
  assert.equal((await v1('GET', data)).body, '');
  assert.deepEqual(await ok(200, 'DELETE', data), { messages: 0, records: 0, memberships: 0, items: 0, assignments: 0 });
  assert.ok(!lines((await v1('GET', `/users/${bob.id}/data`)).body).some((line) => JSON.stringify(line).includes(secret)));
});

test('a tenant is named in a header, and nothing of another one is seen or touched', async (t) => {
  const [one, two] = [new World(t, unique('tenant')), new World(t, unique('tenant'))];
  two.bam = one.bam;
  const alice = await one.enter('Alice');
  const bob = await two.enter('Bob');
  const of = (world) => ({ headers: { 'relais-tenant': world.tenant } });
  const event = unique('news');
  const sent = await ok(200, 'POST', '/events', { to: { everyone: true }, event, data: 1 }, of(one));
  assert.equal(sent.recipients, 1);
  assert.equal(await alice.next(event), 1);
  await alice.say(one.bam, 'here');
  assert.deepEqual((await ok(200, 'GET', `/rooms/${room(two)}/messages`, undefined, of(two))).messages, []);
  const users = (await ok(200, 'GET', '/presence', undefined, of(two))).users.map(({ userId }) => userId);
  assert.deepEqual(users, [bob.id]);
  await ok(200, 'DELETE', `/users/${alice.id}/data`, undefined, of(two));
  assert.equal((await ok(200, 'GET', `/rooms/${room(one)}/messages`, undefined, of(one))).messages[0].body, 'here');
  assert.deepEqual(bob.all(event), []);
  const wedding = await http('GET', '/wedding/v1/presence', { token: KEY });
  assertProblem(wedding, 401, 'TENANT_REQUIRED');
});

test('the page to read needs no script and nothing from elsewhere', async () => {
  for (const path of ['/docs', '/bam/docs', '/studio/docs']) {
    const { status, headers, body } = await http('GET', path);
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy'), /default-src 'none'/);
    assert.ok(!/<script|https?:\/\//.test(body), path);
    assert.match(body, /\/v1\/events/);
  }
  assertProblem(await http('POST', '/docs'), 405, 'METHOD_NOT_ALLOWED');
});
