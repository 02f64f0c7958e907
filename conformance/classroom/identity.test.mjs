//! Who may be in a school, for how long and how often, and that two schools of one server never meet.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { crowded, renewal } from '../lib/admission.mjs';
import { relais } from '../lib/servers.mjs';
import { now } from '../lib/token.mjs';
import { School, heard, settled, unique } from './school.mjs';

const PATH = '/ws/chat/';
let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom' });
});
after(() => server.remove());

test('a token that is none is a close code, and over HTTP 401', async (t) => {
  const school = new School(t, server);
  const tokens = [
    [undefined, 'TOKEN_MISSING'],
    ['nonsense', 'TOKEN_INVALID'],
    [school.token({ sub: 'ada', exp: now() - 60 }), 'TOKEN_EXPIRED'],
    [school.token({ sub: 'ada', app: 'studio' }), 'TOKEN_INVALID'],
    [school.token({ name: 'nobody' }), 'TOKEN_INVALID'],
  ];
  for (const [token, code] of tokens) {
    assert.deepEqual(await school.open(PATH, { token }).end(), { code: 1008, reason: code });
    const answer = await school.http('GET', '/api/rooms', { as: token === undefined ? undefined : { token } });
    assert.deepEqual([answer.status, answer.body.code], [401, code]);
  }
});

test('a token that ends is announced, renewed in place, or the end of the session', async (t) => {
  const school = new School(t, server);
  await renewal({
    enter: (claims) => school.enter(PATH, claims),
    sign: (claims) => school.token(claims),
    refused: async (client) => (await client.end(15000)).reason,
  });
});

test('more connections from one address than allowed are refused with 429, and those inside go on', async (t) => {
  const enter = (own, sub) => new School(t, own).enter(PATH, { sub });
  await crowded(t, { app: 'classroom', path: PATH, enter, goOn: (client) => client.ok('ping') });
});

test('more frames than a session may send are RATE_LIMITED, with the time to wait', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '10' });
  t.after(() => own.remove());
  const ada = await new School(t, own).arrive('ada');
  const answers = await Promise.all(Array.from({ length: 40 }, () => ada.ask('get_rooms')));
  const refused = answers.filter(({ success }) => !success);
  assert.ok(refused.length > 0 && refused.length <= 20, `${refused.length}`);
  for (const { error } of refused) assert.deepEqual([error.code, error.retryable, error.retryAfterMs > 0], ['RATE_LIMITED', true, true]);
});

test('two schools with the same people, rooms and temporary ids see nothing of each other', async (t) => {
  const roomId = unique('class');
  const ids = { ms: unique('martin'), leo: unique('leo') };
  const here = async (tenant) => {
    const school = Object.assign(new School(t, server), { roomId });
    const claims = (sub, role) => ({ sub, role, tenant, name: sub, rooms: [roomId] });
    const enter = async (sub, role) => Object.assign(await school.enter(PATH, claims(sub, role)), { id: sub });
    const [ms, leo] = [await enter(ids.ms, 'teacher'), await enter(ids.leo, 'student')];
    for (const client of [ms, leo]) await client.ok('join_room', { roomId });
    return { school, ms, leo };
  };
  const [north, south] = [await here(unique('north')), await here(unique('south'))];
  const joined = await south.leo.ok('join_room', { roomId });
  assert.deepEqual(joined.onlineUsers.map(({ userId }) => userId).sort(), [ids.leo, ids.ms]);
  const quiet = (await settled(south.leo)).length;

  const first = await north.school.say(north.ms, `for the north, @${ids.leo}`, { tempId: 'same' });
  await north.ms.ok('edit_message', { messageId: first.id, content: 'for the north alone' });
  await north.ms.ok('typing_start', { roomId });
  await north.ms.ok('set_status', { status: 'busy' });
  await north.leo.ok('mark_read', { roomId, seq: 1 });
  await north.school.httpOk(201, 'POST', '/api/rooms', { as: north.ms, body: { id: roomId, name: 'North', kind: 'announcement' } });
  await north.school.httpOk(200, 'PUT', `/api/rooms/${roomId}/members/newcomer`, { as: north.ms });
  await north.ms.ok('delete_message', { messageId: first.id });
  await north.leo.frame('message_deleted');
  assert.equal((await settled(south.leo)).length, quiet, JSON.stringify(south.leo.inbox.all.slice(-3)));

  // What is there cannot be read, changed or taken either, by its id.
  assert.deepEqual((await south.ms.ok('get_messages', { roomId })).messages, []);
  assert.deepEqual((await south.school.httpOk(200, 'GET', `/api/rooms/${roomId}/messages`, { as: south.leo })).messages, []);
  assert.deepEqual((await south.leo.ok('get_rooms')).rooms.map(({ name, kind }) => [name, kind]), [[roomId, 'class']]);
  await south.ms.refusal('NOT_FOUND', 'edit_message', { messageId: first.id, content: 'mine' });
  await south.ms.refusal('NOT_FOUND', 'delete_message', { messageId: first.id });
  const twin = await south.school.say(south.ms, 'for the south', { tempId: 'same' });
  assert.equal(twin.seq, 1);
  assert.notEqual(twin.id, first.id);
  assert.equal((await heard(north.leo, 'message')).length, 1);
  // The session of one school is none of the other, for the same user.
  const stolen = await south.school.back(north.leo, { query: { token: south.leo.token } });
  assert.equal(stolen.hello.resumed, false);
  assert.deepEqual(await heard(stolen, 'message'), []);
});

test('the metrics have the default keys', async (t) => {
  const school = new School(t, server);
  assert.deepEqual(Object.keys(await school.httpOk(200, 'GET', '/metrics', { key: true })), ['totalConnections', 'activeConnections', 'messagesPerMinute', 'connectedUsers']);
});
