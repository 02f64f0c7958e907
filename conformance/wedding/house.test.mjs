//! Around it all: who is let in, two weddings at once, what the backend and an admin read by HTTP, what nobody may send.

import test from 'node:test';
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { crowded, renewal } from '../lib/admission.mjs';
import { assertProblem, token, unique } from '../lib/bam.mjs';
import { WAYS, own, start } from '../lib/stock.mjs';
import { SONG, SPEECH, Wedding } from '../lib/wedding.mjs';

const METRICS = ['totalConnections', 'activeConnections', 'messagesPerMinute', 'connectedUsers', 'activeWeddings'];

for (const [what, auth, code] of [
  ['no token', {}, 'TOKEN_MISSING'],
  ['nonsense', { token: 'nonsense' }, 'TOKEN_INVALID'],
  ['a token of another key', { token: token({ sub: 1, weddingId: 'w' }, 'x'.repeat(40)) }, 'TOKEN_INVALID'],
  ['a token that is over', { token: token({ sub: 1, weddingId: 'w', exp: 1_000_000_000 }) }, 'TOKEN_EXPIRED'],
  ['a token of nobody', { token: token({ name: 'x', weddingId: 'w' }) }, 'TOKEN_INVALID'],
  ['a token of another app', { token: token({ sub: 1, weddingId: 'w', app: 'bam' }) }, 'TOKEN_INVALID'],
  ['a token without a wedding', { token: token({ sub: 1, name: 'x' }) }, 'TENANT_REQUIRED'],
  ['a token whose wedding is null', { token: token({ sub: 1, weddingId: null }) }, 'TENANT_REQUIRED'],
]) {
  for (const [way, transports] of Object.entries(WAYS)) {
    test(`${what} is refused with ${code}: ${way}`, async (t) => {
      const { socket } = start(new Wedding(t).url, { ...transports, auth });
      t.after(() => socket.close());
      const [error] = await own(socket, 'connect_error');
      assert.deepEqual(error.data, { code });
    });
  }
}

test('a token that ends is announced, renewed in place, or the end of the session', async (t) => {
  const wedding = new Wedding(t);
  const person = (claims) => wedding.person('Brief', 'guest', claims);
  await renewal({
    enter: (claims) => wedding.arrive(person(claims)),
    sign: (claims) => person(claims).token,
    refused: async ({ socket }) => (await own(socket, 'connect_error', 15000))[0].data.code,
  });
  const brief = person({ sub: unique('brief') });
  const guest = await wedding.arrive(brief);
  const elsewhere = new Wedding(t).person('Brief', 'guest', { sub: brief.id }).token;
  await guest.refused('TOKEN_INVALID', 'auth:refresh', { token: elsewhere });
});

test('more connections from one address than allowed are refused with 429, and those inside go on', async (t) => {
  const enter = (server, name) => new Wedding(t, { server }).arrive(name);
  const goOn = (guest) => guest.ok('get_online_users', {});
  await crowded(t, { app: 'wedding', path: '/socket.io/?EIO=4&transport=websocket', enter, goOn });
});

test('other names of the claims do as well, and a wedding whose id is a number is the one of that text', async (t) => {
  const id = randomInt(2 ** 40);
  const wedding = new Wedding(t, { id: `${id}` });
  const signed = token({ userId: 12, username: 'odile', role: 'guest', weddingId: id });
  const odile = await wedding.arrive({ id: 12, name: 'odile', token: signed });
  assert.deepEqual([odile.hello.userId, odile.hello.userName, `${odile.hello.weddingId}`], [12, 'odile', wedding.id]);
  const max = await wedding.arrive('Max');
  await max.say('the same wedding');
  assert.equal((await odile.next('new_message')).content, 'the same wedding');
});

test('two weddings with the same people see nothing of each other', async (t) => {
  const [north, south] = [new Wedding(t), new Wedding(t)];
  const ids = { dj: unique('dj'), odile: unique('odile'), jo: unique('jo') };
  const here = async (wedding) => ({
    dj: await wedding.arrive(wedding.person('Marco', 'dj', { sub: ids.dj })),
    odile: await wedding.arrive(wedding.person('Odile', 'guest', { sub: ids.odile })),
    jo: await wedding.arrive(wedding.person('Jo', 'planner', { sub: ids.jo })),
  });
  const [n, s] = [await here(north), await here(south)];
  assert.equal(s.dj.online.length, 1, 'the first one there is alone');
  const before = {};
  for (const guest of Object.values(s)) {
    await guest.settled();
    before[guest.name] = guest.inbox.all.length;
  }
  const tempId = unique('temp');
  const message = await n.odile.say('to the north', { tempId });
  const direct = await n.odile.say('to the DJ', { recipientId: ids.dj });
  const request = await n.odile.song({ tempId });
  const wish = await n.odile.mic();
  const { photo } = await n.odile.ok('new_photo', { url: 'https://photos.example.org/1.jpg' });
  const task = await n.jo.task({ title: 'Cake', assignedTo: ids.odile });
  await n.odile.ok('typing', { isTyping: true });
  await n.odile.ok('typing', { isTyping: true, recipientId: ids.dj });
  await n.odile.ok('update_presence', { status: 'busy' });
  await n.dj.ok('accept_music', { requestId: request.id });
  await north.arrive('Late');
  for (const guest of Object.values(s)) {
    await guest.settled();
    const came = guest.inbox.all.slice(before[guest.name]).map(({ name }) => name);
    assert.equal(came.filter((name) => !name.startsWith('barrier')).length, 0, `${guest.name}: ${came}`);
  }
  // What is there cannot be read or changed either, by its id.
  assert.deepEqual((await s.odile.ok('get_messages', {})).messages, []);
  assert.deepEqual((await s.odile.ok('get_messages', { recipientId: ids.dj })).messages, []);
  for (const kind of ['music', 'mic']) assert.deepEqual((await s.dj.ok('get_requests', { kind })).requests, []);
  assert.deepEqual((await s.odile.ok('get_photos', {})).photos, []);
  assert.deepEqual((await s.jo.ok('get_tasks', {})).tasks, []);
  assert.deepEqual((await s.jo.ok('get_online_users', {})).users.filter(({ status }) => status !== 'online'), []);
  await s.dj.refused('NOT_FOUND', 'reject_mic', { requestId: wish.id });
  await s.jo.refused('NOT_FOUND', 'task_update', { taskId: task.id, updates: { title: 'Mine' } });
  // Temporary ids and numbers are each wedding's own.
  const twin = await s.odile.say('to the south', { tempId });
  assert.notEqual(twin.id, message.id);
  assert.equal(twin.seq, 1);
  assert.notEqual((await s.odile.song({ tempId, artist: 'Abba' })).id, request.id);
  assert.deepEqual((await n.dj.heard('music_request')).map(({ id }) => id), [request.id]);
  assert.deepEqual((await n.jo.heard('new_message')).map(({ id }) => id), [message.id]);
  assert.deepEqual((await n.dj.heard('new_message')).map(({ id }) => id), [message.id, direct.id]);
  assert.deepEqual((await n.jo.heard('new_photo')).map(({ id }) => id), [photo.id]);
});

test('both addresses of the metrics have exactly the app’s keys', async (t) => {
  const [one, two] = [new Wedding(t), new Wedding(t)];
  const odile = await one.arrive('Odile');
  await two.arrive('Max');
  await odile.say('counted');
  const admin = one.person('Ada', 'admin').token;
  const headers = { accept: 'application/json', 'relais-tenant': one.id };
  for (const [path, bearer] of [['/metrics', undefined], ['/api/ws/metrics', one.key], ['/api/ws/metrics', admin], ['/wedding/api/ws/metrics', admin]]) {
    const { status, body } = await one.http('GET', path, { token: bearer, headers });
    assert.equal(status, 200, path);
    assert.deepEqual(Object.keys(body), METRICS);
    for (const key of METRICS) assert.ok(Number.isInteger(body[key]) && body[key] >= 0, `${key}: ${body[key]}`);
    // An admin's numbers are those of their own wedding, as is all that they see; the server's own are at /metrics.
    const { activeWeddings, activeConnections, connectedUsers } = body;
    if (path === '/metrics') assert.ok(activeWeddings >= 2 && activeConnections >= 2 && connectedUsers >= 2, JSON.stringify(body));
    else assert.deepEqual([activeWeddings, activeConnections, connectedUsers], [1, 1, 1]);
    assert.ok(body.messagesPerMinute >= 1 && body.totalConnections >= body.activeConnections, JSON.stringify(body));
  }
  const text = await one.http('GET', '/metrics', { headers: { accept: 'text/plain' } });
  assert.match(text.body, /^# (HELP|TYPE) /m);
});

test('the admin’s metrics are for admins and the key', async (t) => {
  const wedding = new Wedding(t);
  const get = (bearer, headers) => wedding.http('GET', '/api/ws/metrics', { token: bearer, headers });
  assertProblem(await get(undefined), 401, 'TOKEN_MISSING');
  assertProblem(await get('nonsense'), 401, 'TOKEN_INVALID');
  for (const role of ['couple', 'planner', 'dj', 'guest', 'emperor']) assertProblem(await get(wedding.person('x', role).token), 403, 'FORBIDDEN');
  assertProblem(await get(token({ sub: 1, role: 'admin' })), 401, 'TENANT_REQUIRED');
  assertProblem(await get(wedding.key), 401, 'TENANT_REQUIRED');
  assert.equal((await get(wedding.key, { 'relais-tenant': wedding.id })).status, 200);
});

const TASK = { updates: { title: 'Cake' } };
const BAD = {
  send_message: [{}, { content: '' }, { content: 5 }, { content: 'x'.repeat(4001) }, { content: 'x', recipientId: {} }, { content: 'x', recipientId: '' },
    { content: 'x', recipientId: 1.5 }, { content: 'x', recipientId: 'x'.repeat(256) }, { content: 'x', channel: '' }, { content: 'x', channel: 'x'.repeat(65) },
    { content: 'x', channel: 5 }, { content: 'x', tempId: {} }],
  get_messages: [{ limit: 0 }, { limit: 101 }, { limit: 'x' }, { before: -1 }, { before: 'x' }, { recipientId: [] }, { channel: 5 }],
  typing: [{}, { isTyping: 'yes' }, { isTyping: null }, { isTyping: true, recipientId: {} }],
  music_request: [{}, { songTitle: 'x' }, { artist: 'x' }, { ...SONG, songTitle: '' }, { ...SONG, artist: 5 }, { ...SONG, songTitle: 'x'.repeat(201) },
    { ...SONG, dedicatedTo: 5 }, { ...SONG, dedicatedTo: 'x'.repeat(201) }, { ...SONG, tempId: [] }],
  mic_request: [{}, { purpose: 'x' }, { duration: 5 }, { ...SPEECH, duration: 0 }, { ...SPEECH, duration: -1 }, { ...SPEECH, duration: 3601 },
    { ...SPEECH, duration: 1.5 }, { ...SPEECH, duration: '60' }, { ...SPEECH, purpose: '' }],
  accept_music: [{}, { requestId: null }, { requestId: {} }, { requestId: '' }, { requestId: 'x', reason: 5 }, { requestId: 'x', reason: 'x'.repeat(2001) }],
  reject_music: [{}, { requestId: [] }],
  approve_mic: [{}, { requestId: true }],
  reject_mic: [{}, { requestId: 1.5 }],
  get_requests: [{}, { kind: 'task' }, { kind: 5 }, { kind: 'music', status: 'lost' }, { kind: 'mic', limit: 101 }, { kind: 'mic', before: {} }],
  new_photo: [{}, { url: 'https://photos.example.org/1.jpg', caption: 5 }, { url: 'https://photos.example.org/1.jpg', caption: 'x'.repeat(501) }],
  get_photos: [{ limit: 0 }, { before: {} }],
  task_update: [{}, { updates: {} }, { updates: { status: 'done', notes: 'x', assignedTo: 5 } }, { updates: 5 }, { updates: [] }, { updates: { title: '' } }, { updates: { title: 5 } }, { updates: { ...TASK.updates, status: 'lost' } },
    { updates: { ...TASK.updates, assignedTo: {} } }, { updates: { ...TASK.updates, assignedTo: '' } }, { updates: { ...TASK.updates, dueDate: 5 } },
    { updates: { ...TASK.updates, notes: 'x'.repeat(2001) } }, { ...TASK, taskId: {} }, { ...TASK, taskId: '' }],
  get_tasks: [{ limit: -1 }, { before: [] }],
  update_presence: [{}, { status: 'offline' }, { status: 5 }, { status: 'busy', customStatus: 5 }, { status: 'busy', customStatus: 'x'.repeat(141) }],
  get_online_users: [{ limit: 0 }, { before: {} }],
};

for (const [event, payloads] of Object.entries(BAD)) {
  test(`${event} with what does not fit is INVALID_PAYLOAD, and nobody hears of it`, async (t) => {
    const wedding = new Wedding(t);
    const admin = await wedding.arrive('Ada', 'admin');
    const dj = await wedding.dj();
    const must = !event.startsWith('get_');
    for (const args of [...payloads.map((one) => [one]), ...(must ? [[], [null]] : []), ['text'], [5], [[1]]]) {
      const answer = await admin.ask(event, ...args);
      assert.equal(answer.error?.code, 'INVALID_PAYLOAD', `${JSON.stringify(args).slice(0, 80)}: ${JSON.stringify(answer).slice(0, 200)}`);
    }
    await dj.settled();
    const came = dj.inbox.all.map(({ name }) => name).filter((name) => !/^barrier|^connected$|^online_users$/.test(name));
    assert.deepEqual(came, []);
    assert.equal(admin.socket.connected, true);
  });
}

test('what the server sends nobody else may send', async (t) => {
  const wedding = new Wedding(t);
  const [odile, max] = [await wedding.arrive('Odile', 'admin'), await wedding.arrive('Max')];
  const forged = ['new_message', 'user_online', 'music_request_updated', 'task_updated', 'task_assigned', 'presence_updated', 'no_such_event', 'connected'];
  for (const event of forged) await odile.refused('UNKNOWN_EVENT', event, { id: 1 });
  odile.socket.emit('task_updated', { task: {} });
  const error = await odile.next('error');
  assert.deepEqual([error.event, error.error.code], ['task_updated', 'UNKNOWN_EVENT']);
  odile.socket.emit('music_request', { artist: 'without an ack' });
  assert.equal((await odile.next('error')).error.code, 'INVALID_PAYLOAD');
  await max.settled();
  for (const event of forged.slice(2)) if (event !== 'connected') assert.deepEqual(max.all(event), []);
});
