//! Every HTTP route of `bam`: what it answers, to whom, and what it says to bad input.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, World, assertProblem, assertTime, http, httpGuess, promised, unique } from '../lib/bam.mjs';
import { eventually } from '../lib/wait.mjs';

const byKey = (method, path, body) => http(method, path, { token: KEY, body });

/** Every route: method, path, a body that would do, who may. */
const routes = (bam) => [
  ['GET', '/websocket/stats', undefined, ['key', 'admin']],
  ['GET', '/websocket/presence/nobody', undefined, ['key', 'user']],
  ['GET', `/websocket/bam/${bam}/online`, undefined, ['key', 'participant']],
  ['POST', '/websocket/notify', { userId: 'nobody', event: 'x', data: {} }, ['key']],
  ['POST', '/websocket/broadcast', { event: unique('x'), data: {}, volatile: true }, ['key']],
  ['POST', `/websocket/bam/${bam}/emit`, { event: 'x', data: {} }, ['key']],
  ['POST', `/bams/${bam}/messages`, { text: 'x' }, ['participant']],
  ['GET', `/bams/${bam}/messages`, undefined, ['participant']],
  ['GET', `/bams/${bam}/participants`, undefined, ['key']],
  ['PUT', `/bams/${bam}/participants/somebody`, undefined, ['key']],
  ['DELETE', `/bams/${bam}/participants/somebody`, undefined, ['key']],
];

test('every route is for whom it is for, and refuses everybody else', async (t) => {
  const world = new World(t);
  const callers = {
    key: KEY,
    admin: world.person('Ada', { role: 'admin' }).token,
    participant: world.person('Alice').token,
    user: world.person('Eve', { bams: [] }).token,
  };
  for (const [method, path, body, allowed] of routes(world.bam)) {
    for (const [caller, token] of Object.entries(callers)) {
      // An administrator and a participant are users too; the administrator here is a participant as well.
      const roles = { key: ['key'], admin: ['admin', 'participant', 'user'], participant: ['participant', 'user'], user: ['user'] }[caller];
      const response = await http(method, path, { token, body });
      const what = `${method} ${path} by ${caller}: ${response.status} ${JSON.stringify(response.body)}`;
      if (roles.some((role) => allowed.includes(role))) assert.ok(response.status < 300, what);
      else {
        assert.equal(response.status, 403, what);
        assert.ok(['FORBIDDEN', 'NOT_A_MEMBER'].includes(response.body.code), what);
      }
    }
    assertProblem(await http(method, path, { body }), 401, 'TOKEN_MISSING');
  }
  assertProblem(await httpGuess('GET', '/websocket/stats', { token: 'nonsense' }), 401, 'TOKEN_INVALID');
});

test('stats count connections, people, rooms and messages', async (t) => {
  const world = new World(t);
  const before = (await byKey('GET', '/websocket/stats')).body;
  const person = world.person('Alice');
  const alice = await world.enter(person);
  await world.enter(person);
  await alice.say(world.bam, 'x');
  const { body } = await byKey('GET', '/websocket/stats');
  assert.deepEqual(Object.keys(body).sort(), ['activeConnections', 'connectedUsers', 'messagesPerMinute', 'rooms', 'totalConnections', 'uptimeSeconds']);
  for (const value of Object.values(body)) assert.equal(typeof value, 'number');
  assert.ok(body.messagesPerMinute >= 1);
  assert.ok(body.uptimeSeconds >= before.uptimeSeconds);
  assert.ok(body.activeConnections >= 2 && body.connectedUsers >= 1 && body.rooms >= 1, JSON.stringify(body));
});

test('presence of somebody: online, then away, then gone; of somebody unknown: offline', async (t) => {
  const world = new World(t);
  const presence = async (id) => (await byKey('GET', `/websocket/presence/${id}`)).body;
  const alice = await world.enter('Alice');
  const online = await presence(alice.id);
  assert.equal(online.userId, alice.id);
  assert.equal(online.online, true);
  assert.equal(online.status, 'online');
  await alice.ok('status-change', 'away');
  assert.equal((await presence(alice.id)).status, 'away');
  alice.close();
  const gone = await eventually('she is offline', async () => {
    const now = await presence(alice.id);
    return now.online === false && now;
  }, 8000);
  assertTime(gone.lastSeen);
  const unknown = await byKey('GET', '/websocket/presence/never-seen');
  assert.equal(unknown.status, 200);
  assert.equal(unknown.body.userId, 'never-seen');
  assert.equal(unknown.body.online, false);
});

test('who is online in a room: each user once, with a count', async (t) => {
  const world = new World(t);
  const person = world.person('Alice');
  const alice = await world.enter(person);
  await world.enter(person);
  const bob = await world.enter('Bob');
  for (const token of [KEY, alice.token]) {
    const { body } = await http('GET', `/websocket/bam/${world.bam}/online`, { token });
    assert.equal(body.bamId, world.bam);
    assert.equal(body.count, 2);
    assert.deepEqual(body.users.map((user) => user.userId).sort(), [alice.id, bob.id].sort());
    const shown = body.users.find((user) => user.userId === bob.id);
    assert.deepEqual([shown.userName, shown.status], ['Bob', 'online']);
  }
  const { body: empty } = await byKey('GET', `/websocket/bam/${unique('bam')}/online`);
  assert.deepEqual([empty.users, empty.count], [[], 0]);
});

test('notify brings data itself to every session of one user, as notification unless another event is named', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const laptop = await world.connect(alice);
  const data = { title: 'Invoice', lines: [1, 'é', null] };
  const { status, body } = await byKey('POST', '/websocket/notify', { userId: alice.id, data });
  assert.equal(status, 200);
  assert.ok(Number(body.delivered) >= 1, JSON.stringify(body));
  assert.equal(body.online, true);
  for (const member of [alice, laptop]) assert.deepEqual(await member.next('notification'), data);
  await byKey('POST', '/websocket/notify', { userId: alice.id, event: 'invoice:paid', data: 'just text', volatile: true });
  assert.equal(await alice.next('invoice:paid'), 'just text');
  await bob.settled();
  assert.deepEqual([bob.all('notification'), bob.all('invoice:paid')], [[], []]);
  const nobody = await byKey('POST', '/websocket/notify', { userId: unique('nobody'), data });
  assert.equal(nobody.status, 200);
  assert.equal(nobody.body.online, false);
  assert.equal(Number(nobody.body.delivered), 0);
});

test('broadcast reaches everyone who is connected, in a room or not', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const eve = await world.connect(world.person('Eve', { bams: [] }));
  const event = unique('news');
  const { status, body } = await byKey('POST', '/websocket/broadcast', { event, data: { n: 1 } });
  assert.equal(status, 200);
  assert.ok(body.recipients >= 2, JSON.stringify(body));
  for (const member of [alice, eve]) assert.deepEqual(await member.next(event), { n: 1 });
});

test('emit reaches the room, and nobody outside it', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const outside = await world.connect(world.person('Chloé'));
  const event = unique('score');
  const { status, body } = await byKey('POST', `/websocket/bam/${world.bam}/emit`, { event, data: { home: 1 } });
  assert.equal(status, 200);
  assert.equal(body.recipients, 2);
  for (const member of [alice, bob]) assert.deepEqual(await member.next(event), { home: 1 });
  await outside.settled();
  assert.deepEqual(outside.all(event), []);
});

for (const [path, body] of [
  ['/websocket/notify', { data: {} }],
  ['/websocket/notify', { userId: 'a' }],
  ['/websocket/notify', { userId: 'a', event: '', data: {} }],
  ['/websocket/notify', { userId: 'a', event: 5, data: {} }],
  ['/websocket/broadcast', { data: {} }],
  ['/websocket/broadcast', { event: 'x' }],
  ['/websocket/broadcast', { event: 'x'.repeat(256), data: {} }],
  ['/websocket/bam/1/emit', { data: {} }],
]) {
  test(`POST ${path} with ${JSON.stringify(body).slice(0, 60)} is INVALID_PAYLOAD`, async () => {
    assertProblem(await byKey('POST', path, body), 400, 'INVALID_PAYLOAD');
  });
}

test('a message posted by HTTP is stored and reaches the room, and the answer is the message', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const tempId = unique('temp');
  const { status, body } = await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'by HTTP', tempId } });
  assert.equal(status, 201);
  assert.deepEqual([body.bamId, body.content, body.type, body.tempId, body.seq], [world.bam, 'by HTTP', 'text', tempId, 1]);
  assert.deepEqual(body.sender, { id: alice.id, name: 'Alice' });
  for (const member of [alice, bob]) assert.deepEqual(await member.next('new-message'), body);
});

test('a participant who has no session may post and read all the same', async (t) => {
  const world = new World(t);
  const person = world.person('Alice');
  assert.equal((await http('POST', `/bams/${world.bam}/messages`, { token: person.token, body: { text: 'from afar' } })).status, 201);
  const { body } = await http('GET', `/bams/${world.bam}/messages`, { token: person.token });
  assert.equal(body.messages[0].content, 'from afar');
});

for (const [what, body] of [
  ['no text', {}],
  ['empty text', { text: '' }],
  ['text of 4001 characters', { text: 'x'.repeat(4001) }],
  ['text that is a number', { text: 1 }],
  ['a toUserId that is an object', { text: 'x', toUserId: {} }],
  ['a tempId that is a number', { text: 'x', tempId: 1 }],
]) {
  test(`posting a message with ${what} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const { token } = world.person('Alice');
    assertProblem(await http('POST', `/bams/${world.bam}/messages`, { token, body }), 400, 'INVALID_PAYLOAD');
  });
}

for (const [what, raw] of [
  ['is not JSON', '{"text": '],
  ['is a list', '["text"]'],
  ['is a text', '"text"'],
  ['is null', 'null'],
]) {
  test(`a body that ${what} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const { token } = world.person('Alice');
    assertProblem(await http('POST', `/bams/${world.bam}/messages`, { token, raw }), 400, 'INVALID_PAYLOAD');
  });
}

test('participants are listed, added and removed, each as often as one likes', async (t) => {
  const world = new World(t);
  const list = async () => (await byKey('GET', `/bams/${world.bam}/participants`)).body.participants.map((entry) => entry.userId);
  assert.deepEqual(await list(), []);
  for (const id of ['dora', 'emil', 'dora']) {
    const { status, body } = await byKey('PUT', `/bams/${world.bam}/participants/${id}`);
    assert.equal(status, 200);
    assert.deepEqual([body.bamId, body.userId], [world.bam, id]);
  }
  assert.deepEqual((await list()).sort(), ['dora', 'emil']);
  for (let n = 0; n < 2; n += 1) assert.equal((await byKey('DELETE', `/bams/${world.bam}/participants/dora`)).status, 200);
  assert.deepEqual(await list(), ['emil']);
});

test('a route that does not exist is NOT_FOUND', async () => {
  const { status } = await byKey('GET', '/websocket/nothing');
  assert.equal(status, 404);
});

test('names in a path are decoded, and reach nothing but the name', async (t) => {
  const world = new World(t);
  const name = 'a/b c%é';
  const { status, body } = await byKey('GET', `/websocket/presence/${encodeURIComponent(name)}`);
  assert.equal(status, 200);
  assert.equal(body.userId, name);
  assert.equal(world.members.length, 0);
});

promised('a method that an address does not know is refused with a problem that lists those it does', 'it finds nothing there', async () => {
  for (const [method, path, allowed] of [
    ['DELETE', '/bams/42/messages', 'GET, POST'],
    ['POST', '/healthz', 'GET,HEAD'],
    ['PUT', '/', 'GET,HEAD'],
  ]) {
    const response = await http(method, path, { token: KEY });
    assertProblem(response, 405, 'METHOD_NOT_ALLOWED');
    assert.deepEqual(response.headers.get('allow').split(/, ?/).sort(), allowed.split(/, ?/), path);
  }
});
