//! Who is here and who types: told to others of the class, once a user, not to oneself.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { relais } from '../lib/servers.mjs';
import { ISO_MS, School, heard } from './school.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
});
after(() => server.remove());

test('typing is told to the others of the room and ends by itself, by word, and by the message', async (t) => {
  const school = new School(t, server);
  const { roomId } = school;
  const [ms, leo] = [await school.attend('martin', 'teacher'), await school.attend('leo')];
  const typing = (isTyping) => ({ roomId, userId: leo.id, userName: leo.called, isTyping });
  await leo.ok('typing_start', { roomId });
  assert.deepEqual(await ms.next('typing'), typing(true));
  await leo.ok('typing_stop', { roomId });
  assert.deepEqual(await ms.next('typing'), typing(false));
  await leo.ok('typing_start', { roomId });
  assert.deepEqual(await ms.next('typing'), typing(true));
  await school.say(leo, 'done');
  assert.deepEqual(await ms.next('typing'), typing(false));
  await leo.ok('typing_start', { roomId });
  await ms.next('typing');
  assert.deepEqual(await ms.next('typing', undefined, 8000), typing(false));
  assert.deepEqual(await heard(leo, 'typing'), []);
  await leo.refusal('INVALID_PAYLOAD', 'typing_start', {});
});

test('coming, a status and going are told to those who share a room, once a user', async (t) => {
  const school = new School(t, server);
  const ms = await school.attend('martin', 'teacher');
  const leo = await school.attend('leo');
  const online = await ms.next('user_online');
  assert.deepEqual(online, { userId: leo.id, userName: leo.called, role: 'student', status: 'online' });
  const second = await school.enter(`/ws/chat/${school.roomId}/`, leo.claims);
  await second.next('room_joined');
  const answer = await leo.ok('set_status', { status: 'busy', customStatus: 'homework' });
  const { success, ...shown } = answer;
  const status = await ms.next('status');
  assert.match(status.lastSeen, ISO_MS);
  assert.deepEqual(status, { userId: leo.id, userName: leo.called, status: 'busy', customStatus: 'homework', lastSeen: status.lastSeen });
  assert.equal(shown.status, 'busy');
  for (const client of [leo, second]) {
    client.close(1000);
    await client.end();
  }
  assert.deepEqual(await ms.next('user_offline'), { userId: leo.id, userName: leo.called });
  assert.equal((await heard(ms, 'user_online')).length, 1);
  assert.equal((await heard(ms, 'user_offline')).length, 1);
  for (const data of [{}, { status: 'dancing' }, { status: 'offline' }, { status: 'away', customStatus: 'x'.repeat(141) }]) {
    await ms.refusal('INVALID_PAYLOAD', 'set_status', data);
  }
});

test('a ping is answered as ack and as pong', async (t) => {
  const school = new School(t, server);
  const leo = await school.arrive('leo');
  leo.send({ type: 'ping' });
  await leo.next('pong');
  await leo.ok('ping');
});
