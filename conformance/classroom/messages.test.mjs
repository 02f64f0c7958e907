//! Messages of a class: sent, answered, paged, read, edited and deleted, and every refusal.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { relais } from '../lib/servers.mjs';
import { ISO_MS, School, UUID, heard } from './school.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
});
after(() => server.remove());

test('a message is acked as the room gets it, its sender included, under its position', async (t) => {
  const school = new School(t, server);
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  const message = await school.say(leo, 'Good morning', { tempId: 't-1' });
  assert.match(message.id, UUID);
  assert.match(message.createdAt, ISO_MS);
  assert.deepEqual(message, {
    id: message.id,
    roomId: school.roomId,
    content: 'Good morning',
    sender: { id: leo.id, name: leo.called, role: 'student' },
    mentions: [],
    replyTo: null,
    tempId: 't-1',
    seq: 1,
    createdAt: message.createdAt,
  });
  for (const client of [ms, leo]) {
    const frame = await client.frame('message');
    assert.deepEqual(frame.data, message);
    assert.ok(Number.isInteger(frame.position));
  }
  const answer = await school.say(ms, 'Good morning, Léo', { replyTo: message.id });
  assert.equal(answer.replyTo, message.id);
  assert.equal(answer.seq, 2);
});

test('the same temporary id is one message, with another text a conflict', async (t) => {
  const school = new School(t, server);
  const leo = await school.attend('leo');
  const first = await school.say(leo, 'once', { tempId: 't' });
  assert.deepEqual(await school.say(leo, 'once', { tempId: 't' }), first);
  await leo.refusal('IDEMPOTENCY_CONFLICT', 'send_message', { roomId: school.roomId, content: 'twice', tempId: 't' });
  assert.equal((await heard(leo, 'message')).length, 1);
});

test('history is paged by seq, both ways, over the socket and over HTTP', async (t) => {
  const school = new School(t, server);
  const leo = await school.attend('leo');
  for (let n = 1; n <= 5; n += 1) await school.say(leo, `m${n}`);
  const page = async (query) => {
    const over = await leo.ok('get_messages', { roomId: school.roomId, ...query });
    const path = `/api/rooms/${school.roomId}/messages?${new URLSearchParams(query)}`;
    const http = await school.httpOk(200, 'GET', path, { as: leo });
    assert.deepEqual({ success: true, ...http }, over);
    return [http.messages.map(({ content }) => content).join(' '), http.hasMore];
  };
  assert.deepEqual(await page({}), ['m1 m2 m3 m4 m5', false]);
  assert.deepEqual(await page({ limit: 2 }), ['m4 m5', true]);
  assert.deepEqual(await page({ before: 3, limit: 1 }), ['m2', true]);
  assert.deepEqual(await page({ after: 3 }), ['m4 m5', false]);
  await leo.refusal('INVALID_PAYLOAD', 'get_messages', { roomId: school.roomId, limit: 0 });
  await leo.refusal('INVALID_PAYLOAD', 'get_messages', { roomId: school.roomId, before: -1 });
});

test('a read mark is told to the room, goes forward only, and takes what is unread', async (t) => {
  const school = new School(t, server);
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  for (let n = 1; n <= 3; n += 1) await school.say(ms, `m${n}`);
  const unread = async () => (await leo.ok('join_room', { roomId: school.roomId })).unread;
  assert.equal(await unread(), 3);
  assert.deepEqual(await leo.ok('mark_read', { roomId: school.roomId, seq: 2 }), { success: true, roomId: school.roomId, seq: 2 });
  assert.deepEqual(await ms.next('read'), { roomId: school.roomId, userId: leo.id, seq: 2 });
  assert.equal(await unread(), 1);
  assert.equal((await leo.ok('mark_read', { roomId: school.roomId, seq: 1 })).seq, 2);
  assert.equal((await leo.ok('mark_read', { roomId: school.roomId, seq: 99 })).seq, 3);
  assert.equal(await unread(), 0);
  assert.deepEqual((await heard(ms, 'read')).map(({ seq }) => seq), [2, 3]);
  await leo.refusal('INVALID_PAYLOAD', 'mark_read', { roomId: school.roomId });
  await leo.refusal('INVALID_PAYLOAD', 'mark_read', { roomId: school.roomId, seq: 'two' });
});

test('an edit is told as the whole message, takes no seq, and is what everybody pages from then on', async (t) => {
  const school = new School(t, server);
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  const sent = await school.say(leo, 'teh');
  const { message } = await leo.ok('edit_message', { messageId: sent.id, content: 'the' });
  assert.match(message.editedAt, ISO_MS);
  assert.deepEqual(message, { ...sent, content: 'the', editedAt: message.editedAt });
  for (const client of [ms, leo]) assert.deepEqual(await client.next('message_updated'), message);
  assert.equal((await school.say(ms, 'next')).seq, 2);
  const { messages } = await ms.ok('get_messages', { roomId: school.roomId });
  assert.deepEqual(messages[0], message);
});

test('only the author edits; the author and whoever moderates delete', async (t) => {
  const school = new School(t, server);
  const [ms, leo, ada] = [await school.attend('martin', 'teacher'), await school.attend('leo'), await school.attend('ada')];
  const sent = await school.say(leo, 'mine');
  for (const other of [ms, ada]) await other.refusal('FORBIDDEN', 'edit_message', { messageId: sent.id, content: 'x' });
  await ada.refusal('FORBIDDEN', 'delete_message', { messageId: sent.id });
  assert.deepEqual(await ms.ok('delete_message', { messageId: sent.id }), { success: true });
  const gone = { id: sent.id, roomId: school.roomId, deletedBy: ms.id };
  for (const client of [ms, leo, ada]) assert.deepEqual(await client.next('message_deleted'), gone);
  const own = await school.say(leo, 'own');
  await leo.ok('delete_message', { messageId: own.id });
  assert.deepEqual(await ada.next('message_deleted'), { id: own.id, roomId: school.roomId, deletedBy: leo.id });
});

test('a deleted message stays in its place as an empty one, deleted once and never edited again', async (t) => {
  const school = new School(t, server);
  const leo = await school.attend('leo');
  const sent = await school.say(leo, 'oops');
  await leo.ok('delete_message', { messageId: sent.id });
  await leo.ok('delete_message', { messageId: sent.id });
  await leo.refusal('INVALID_STATE', 'edit_message', { messageId: sent.id, content: 'back' });
  const [stored] = (await leo.ok('get_messages', { roomId: school.roomId })).messages;
  assert.match(stored.deletedAt, ISO_MS);
  assert.deepEqual(stored, { ...sent, content: '', deletedAt: stored.deletedAt });
  assert.equal((await heard(leo, 'message_deleted')).length, 1);
});

test('what is not there, not a message, or not for strangers is refused by its code', async (t) => {
  const school = new School(t, server);
  const leo = await school.attend('leo');
  const sent = await school.say(leo, 'hello');
  await leo.refusal('NOT_FOUND', 'edit_message', { messageId: randomUUID(), content: 'x' });
  await leo.refusal('NOT_FOUND', 'delete_message', { messageId: randomUUID() });
  for (const data of [{}, { messageId: 'x', content: 'y' }, { messageId: sent.id }, { messageId: sent.id, content: '' }]) {
    await leo.refusal('INVALID_PAYLOAD', 'edit_message', data);
  }
  await leo.refusal('INVALID_PAYLOAD', 'delete_message', { messageId: 17 });
  const stranger = await school.arrive('eve', 'teacher', []);
  await stranger.refusal('NOT_A_MEMBER', 'edit_message', { messageId: sent.id, content: 'x' });
  await stranger.refusal('NOT_A_MEMBER', 'delete_message', { messageId: sent.id });
});

test('every bad send has its code', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const leo = await school.arrive('leo');
  await leo.refusal('NOT_IN_ROOM', 'send_message', { roomId, content: 'too soon' });
  await leo.ok('join_room', { roomId });
  await leo.refusal('NOT_A_MEMBER', 'send_message', { roomId: 'elsewhere', content: 'x' });
  for (const data of [
    undefined,
    {},
    { roomId },
    { content: 'x' },
    { roomId, content: '' },
    { roomId, content: 'x'.repeat(4001) },
    { roomId, content: 5 },
    { roomId: null, content: 'x' },
    { roomId, content: 'x', replyTo: 'no id' },
    { roomId, content: 'x', tempId: '' },
    { roomId: 'x'.repeat(300), content: 'x' },
  ]) {
    await leo.refusal('INVALID_PAYLOAD', 'send_message', data);
  }
  await leo.refusal('UNKNOWN_EVENT', 'sing', {});
  leo.send({ type: 'send_message', data: { roomId } });
  assert.equal((await leo.next('error')).code, 'INVALID_PAYLOAD');
  assert.equal((await school.say(leo, 'x'.repeat(4000), { sender: { id: 'forged' }, seq: 9 })).sender.id, leo.id);
});
