//! Rooms of a school: joined by event or address, listed, created, classes, announcements, rooms for two; members who come and go.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { relais } from '../lib/servers.mjs';
import { School, UUID, heard, settled, unique } from './school.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
});
after(() => server.remove());

const ALL = ['room.create', 'room.members', 'announce', 'write', 'moderate'];

test('everybody is told who they are and what they may', async (t) => {
  const school = new School(t, server);
  for (const [role, permissions] of [['teacher', ALL], ['admin', ALL], ['student', ['write']], ['parent', ['write']], ['gardener', []]]) {
    const who = await school.arrive('who', role);
    const { sessionId, ...hello } = who.hello;
    assert.equal(typeof sessionId, 'string');
    const known = role === 'gardener' ? null : role;
    assert.deepEqual(hello, { userId: who.id, userName: who.called, role: known, permissions, rooms: [], resumed: false });
  }
  const numbered = await school.enter('/ws/chat/', { sub: 17, name: 'Seventeen' });
  assert.equal(numbered.hello.userId, 17);
});

test('a join answers with who is there, as ack and as event, and the address joins as well', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const ms = await school.arrive('martin', 'teacher');
  const joined = await ms.ok('join_room', { roomId });
  const one = { userId: ms.id, userName: ms.called, role: 'teacher', status: 'online' };
  assert.deepEqual(joined, { success: true, roomId, onlineUsers: [one], lastSeq: 0, unread: 0 });
  const { success, ...data } = joined;
  assert.deepEqual(await ms.next('room_joined'), data);
  await school.say(ms, 'first');
  const claims = school.pupil('leo');
  for (const path of [`/ws/chat/${roomId}/`, `/ws/chat/${roomId}`]) {
    const leo = await school.enter(path, claims);
    const entered = await leo.next('room_joined');
    assert.deepEqual([entered.roomId, entered.lastSeq, entered.unread], [roomId, 1, 1]);
    assert.deepEqual(entered.onlineUsers.map(({ userId }) => userId).sort(), [claims.sub, ms.id].sort());
    leo.close(1000);
    await leo.end();
  }
  await ms.ok('join_room', { roomId });
  const stranger = school.open(`/ws/chat/${roomId}/`, { token: school.token(school.pupil('eve', 'student', [])) });
  assert.equal((await stranger.end()).reason, 'NOT_A_MEMBER');
});

test('a room that is left is silent, and who is not a member may not come in', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  await leo.ok('leave_room', { roomId });
  await leo.refusal('NOT_IN_ROOM', 'leave_room', { roomId });
  await leo.refusal('NOT_IN_ROOM', 'send_message', { roomId, content: 'x' });
  await leo.refusal('NOT_IN_ROOM', 'mark_read', { roomId, seq: 1 });
  await leo.refusal('NOT_IN_ROOM', 'typing_start', { roomId });
  await leo.refusal('NOT_IN_ROOM', 'typing_stop', { roomId });
  await school.say(ms, 'without Léo');
  assert.deepEqual(await heard(leo, 'message'), []);
  const eve = await school.arrive('eve', 'teacher', []);
  for (const event of ['join_room', 'get_messages', 'typing_start']) await eve.refusal('NOT_A_MEMBER', event, { roomId });
  for (const data of [undefined, {}, { roomId: '' }, { roomId: [] }, { roomId: 1.5 }]) await eve.refusal('INVALID_PAYLOAD', 'join_room', data);
  assert.equal((await school.http('GET', `/api/rooms/${roomId}/messages`, { as: eve })).status, 403);
});

test('rooms are listed with name, kind and what is unread, over the socket and over HTTP', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const ms = await school.attend('martin', 'teacher');
  const leo = await school.arrive('leo');
  await school.say(ms, 'one');
  await school.say(ms, 'two');
  const unnamed = { id: roomId, name: roomId, kind: 'class', unread: 2, lastSeq: 2 };
  assert.deepEqual(await leo.ok('get_rooms'), { success: true, rooms: [unnamed] });
  const body = { id: roomId, name: 'Class 5B', kind: 'class' };
  assert.deepEqual(await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body }), { ...unnamed, name: 'Class 5B', unread: 0 });
  const rooms = [{ ...unnamed, name: 'Class 5B' }];
  assert.deepEqual(await school.httpOk(200, 'GET', '/api/rooms', { as: leo }), { rooms });
  await leo.ok('join_room', { roomId });
  await leo.ok('mark_read', { roomId, seq: 1 });
  assert.equal((await leo.ok('get_rooms')).rooms[0].unread, 1);
  assert.equal((await school.http('GET', '/api/rooms')).status, 401);
  assert.equal((await school.http('GET', '/api/rooms', { key: true })).status, 403);
});

test('teachers create rooms and are their members; the same again is the same, another one is refused', async (t) => {
  const school = new School(t, server);
  const [ms, other] = [await school.arrive('martin', 'teacher'), await school.arrive('other', 'admin')];
  const made = await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body: { name: 'Trip', kind: 'class' } });
  assert.match(made.id, UUID);
  assert.deepEqual(made, { id: made.id, name: 'Trip', kind: 'class', unread: 0, lastSeq: 0 });
  await ms.ok('join_room', { roomId: made.id });
  const body = { id: unique('room'), name: 'Club', kind: 'class' };
  const first = await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body });
  assert.deepEqual(await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body }), first);
  for (const [as, changed] of [[ms, { name: 'Other' }], [ms, { kind: 'direct' }], [other, {}]]) {
    const refused = await school.http('POST', '/api/rooms', { as, body: { ...body, ...changed } });
    assert.deepEqual([refused.status, refused.body.code], [409, 'INVALID_STATE']);
  }
  await other.refusal('NOT_A_MEMBER', 'join_room', { roomId: body.id });
  await school.httpOk(201, 'POST', '/api/rooms', { key: true, body: { name: 'By the backend', kind: 'class' } });
  for (const bad of [{ kind: 'class' }, { name: 'x' }, { name: '', kind: 'class' }, { name: 'x', kind: 'chess' }, { id: [], name: 'x', kind: 'class' }]) {
    const refused = await school.http('POST', '/api/rooms', { as: ms, body: bad });
    assert.deepEqual([refused.status, refused.body.code], [400, 'INVALID_PAYLOAD'], JSON.stringify(bad));
  }
  const pupil = school.pupil('leo');
  assert.equal((await school.http('POST', '/api/rooms', { as: pupil, body: { name: 'x', kind: 'class' } })).status, 403);
});

test('a room of others cannot be taken by creating it, and whoever was removed does not come back that way', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const leo = await school.attend('leo');
  await school.say(leo, 'ours');
  const thief = await school.arrive('thief', 'teacher', []);
  const body = { id: roomId, name: 'Mine', kind: 'class' };
  assert.equal((await school.http('POST', '/api/rooms', { as: thief, body })).status, 409);
  await thief.refusal('NOT_A_MEMBER', 'join_room', { roomId });
  const ms = await school.attend('martin', 'teacher');
  await school.httpOk(200, 'DELETE', `/api/rooms/${roomId}/members/${ms.id}`, { key: true });
  assert.equal((await school.http('POST', '/api/rooms', { as: ms, body })).status, 403);
});

test('in an announcement only those write who may announce, and everybody reads', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  await school.say(leo, 'still a class');
  await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body: { id: roomId, name: 'News', kind: 'announcement' } });
  await leo.refusal('FORBIDDEN', 'send_message', { roomId, content: 'me too' });
  await leo.refusal('FORBIDDEN', 'typing_start', { roomId });
  const news = await school.say(ms, 'School is out');
  assert.deepEqual(await leo.next('message', ({ id }) => id === news.id), news);
  await leo.ok('mark_read', { roomId, seq: news.seq });
  const { messages } = await leo.ok('get_messages', { roomId });
  await leo.refusal('FORBIDDEN', 'edit_message', { messageId: messages[0].id, content: 'sneaked in' });
});

test('a direct room is for two', async (t) => {
  const school = new School(t, server);
  const [ms, leo, eve] = [await school.arrive('martin', 'teacher'), await school.arrive('leo'), await school.arrive('eve')];
  const { id } = await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body: { name: 'Léo', kind: 'direct' } });
  const add = (who) => school.http('PUT', `/api/rooms/${id}/members/${who.id}`, { as: ms });
  assert.equal((await add(leo)).status, 200);
  assert.equal((await add(leo)).status, 200);
  const third = await add(eve);
  assert.deepEqual([third.status, third.body.code], [409, 'INVALID_STATE']);
  for (const who of [ms, leo]) await who.ok('join_room', { roomId: id });
  await eve.refusal('NOT_A_MEMBER', 'join_room', { roomId: id });
  await leo.ok('send_message', { roomId: id, content: 'between us' });
  assert.equal((await ms.next('message')).content, 'between us');
});

test('members are added and removed by teachers and the backend; who is removed is out at once, claim or not', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const ms = await school.attend('martin', 'teacher');
  const dan = await school.arrive('dan', 'parent', []);
  const path = `/api/rooms/${roomId}/members/${dan.id}`;
  assert.deepEqual(await school.httpOk(200, 'PUT', path, { as: ms }), { roomId, userId: dan.id });
  await dan.ok('join_room', { roomId });
  await school.say(dan, 'hello');
  assert.equal((await school.http('DELETE', path, { as: dan })).status, 403);
  await school.httpOk(200, 'DELETE', path, { as: ms });
  await dan.refusal('NOT_A_MEMBER', 'send_message', { roomId, content: 'x' });
  await school.say(ms, 'among us');
  assert.deepEqual((await heard(dan, 'message')).map(({ content }) => content), ['hello']);
  assert.deepEqual((await dan.ok('get_rooms')).rooms, []);
  const leo = await school.attend('leo');
  await school.httpOk(200, 'DELETE', `/api/rooms/${roomId}/members/${leo.id}`, { key: true });
  await leo.refusal('NOT_A_MEMBER', 'join_room', { roomId });
  await school.httpOk(200, 'PUT', `/api/rooms/${roomId}/members/${leo.id}`, { key: true });
  await leo.ok('join_room', { roomId });
  assert.equal((await school.http('PUT', path)).status, 401);
});

test('the same app under its name is the same school, and another app hears nothing of it', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const ms = await school.attend('martin', 'teacher');
  const leo = await school.enter(`/classroom/ws/chat/${roomId}/`, school.pupil('leo'));
  await leo.next('room_joined');
  const foreign = await school.enter('/studio/ws', { sub: ms.id, rooms: [roomId] });
  const message = await school.say(ms, `hello @${leo.claims.sub}`);
  assert.deepEqual(await leo.next('message'), message);
  assert.equal((await leo.next('mention')).messageId, message.id);
  await foreign.refusal('UNKNOWN_EVENT', 'join_room', { roomId });
  const types = foreign.inbox.all.map(({ type }) => type);
  assert.deepEqual(types.filter((type) => ['message', 'mention'].includes(type)), []);
  const rooms = await school.httpOk(200, 'GET', '/classroom/api/rooms', { as: ms });
  assert.equal(rooms.rooms[0].id, roomId);
  await settled(ms);
});
