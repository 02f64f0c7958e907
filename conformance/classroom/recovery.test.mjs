//! A class that goes on: over a cut link, over kill -9, with edits, deletions and mentions among what was missed.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { School } from './school.mjs';

let server;
before(async () => {
  const settings = { RELAIS_EVENTS_PER_SECOND_MAX: '0', WS_PORT: String(await freePort()) };
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', ...settings });
});
after(() => server.remove());

const KINDS = ['message', 'message_updated', 'message_deleted', 'mention', 'read'];
const told = (client) => client.inbox.all.filter(({ type }) => KINDS.includes(type));

test('over the address of a room, everything that was missed comes once, in order', async (t) => {
  const school = new School(t, server);
  const ms = await school.attend('martin', 'teacher');
  const path = `/ws/chat/${school.roomId}/`;
  const claims = school.pupil('leo');
  const leo = await school.enter(path, claims);
  await leo.next('room_joined');
  const first = await school.say(ms, 'first');
  await leo.next('message');
  await leo.cut();
  await ms.ok('edit_message', { messageId: first.id, content: 'First' });
  const second = await school.say(ms, `@${claims.sub} look`);
  await ms.ok('delete_message', { messageId: first.id });
  await ms.ok('mark_read', { roomId: school.roomId, seq: 2 });
  const back = await school.back(leo);
  assert.equal(back.hello.resumed, true);
  await back.next('read');
  const missed = told(back).map(({ type, data }) => [type, data.id ?? data.messageId ?? data.seq]);
  assert.deepEqual(missed, [
    ['message_updated', first.id],
    ['message', second.id],
    ['mention', second.id],
    ['message_deleted', first.id],
    ['read', 2],
  ]);
});

test('kill -9 in the middle: what was acked is there, edits and deletions stand, and sessions go on', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const ms = await school.attend('martin', 'teacher');
  await school.httpOk(201, 'POST', '/api/rooms', { as: ms, body: { id: roomId, name: 'News', kind: 'announcement' } });
  const leo = await school.attend('leo');
  const acked = { sent: [], edited: [], deleted: [] };
  (async () => {
    for (let n = 0; ; n += 1) {
      const message = await school.say(ms, `m${n}`);
      acked.sent.push(message.id);
      if (n % 3 === 1) acked.edited.push((await ms.ok('edit_message', { messageId: message.id, content: `e${n}` })).message.id);
      if (n % 3 === 2) {
        await ms.ok('delete_message', { messageId: message.id });
        acked.deleted.push(message.id);
      }
    }
  })().catch(() => {});
  while (acked.deleted.length < 10) await leo.frame('message_deleted');
  await server.program.kill();
  await Promise.all([ms.end(), leo.end()]);
  await server.program.start();
  const [teacher, back] = [await school.back(ms), await school.back(leo)];
  assert.deepEqual([teacher.hello.resumed, back.hello.resumed], [true, true]);
  const last = await school.say(teacher, 'last');
  await back.next('message', ({ id }) => id === last.id);
  const frames = [...told(leo), ...told(back)];
  const ids = (type) => frames.filter((frame) => frame.type === type).map(({ data }) => data.id);
  for (const [type, list] of [['message', acked.sent], ['message_updated', acked.edited], ['message_deleted', acked.deleted]]) {
    const heard = ids(type);
    assert.equal(new Set(heard).size, heard.length, `${type}: none twice`);
    assert.deepEqual(list.filter((id) => !heard.includes(id)), [], `${type}: none lost`);
  }
  const { messages } = await back.ok('get_messages', { roomId, limit: 100 });
  const stored = new Map(messages.map((message) => [message.id, message]));
  for (const id of acked.deleted.slice(-5)) assert.equal(stored.get(id).content, '');
  await back.refusal('FORBIDDEN', 'send_message', { roomId, content: 'it is still an announcement' });
  assert.equal((await back.ok('get_rooms')).rooms[0].name, 'News');
});
