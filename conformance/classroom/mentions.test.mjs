//! Who is named by `@` hears of it by an event of their own, joined or not, once.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { School, heard, unique } from './school.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
});
after(() => server.remove());

/** Somebody with a name of their own choice. */
async function called(school, name, rooms = [school.roomId]) {
  const claims = { ...school.pupil('p', 'parent', rooms), name };
  return Object.assign(await school.enter('/ws/chat/', claims), { id: claims.sub, called: name });
}

test('somebody of the class who has not joined it is named by name, with spaces and accents and in any case, or by id', async (t) => {
  const school = new School(t, server);
  const name = `Zoé Brontë ${unique('z').slice(-4)}`;
  const zoe = await called(school, name);
  const ms = await school.attend('martin', 'teacher');
  const content = `Bonjour @${name.toUpperCase()}, à demain !`;
  const message = await school.say(ms, content);
  assert.deepEqual(message.mentions, [zoe.id]);
  const frame = await zoe.frame('mention');
  assert.deepEqual(frame.data, { roomId: school.roomId, messageId: message.id, from: { id: ms.id, name: ms.called }, excerpt: content });
  assert.ok(Number.isInteger(frame.position), 'it is stored');
  const second = await school.say(ms, `(@${zoe.id})`);
  assert.equal((await zoe.next('mention')).messageId, second.id);
  assert.deepEqual(await heard(zoe, 'message'), [], 'only the mention: the class is not joined');
});

test('the longest name is meant, the sender is not told, and nobody outside the class is named', async (t) => {
  const school = new School(t, server);
  const tag = unique('n').slice(-4);
  const ann = await called(school, `Ann${tag}`);
  const lee = await called(school, `Ann${tag} Lee`);
  const eve = await called(school, `Eve${tag}`, []);
  const ms = await school.attend('martin', 'teacher');
  const message = await school.say(ms, `@Ann${tag} Lee @Eve${tag} @${ms.id} x@Ann${tag}`);
  assert.deepEqual(message.mentions, [lee.id]);
  const both = await school.say(ms, `@ann${tag}, @ann${tag} lee`);
  assert.deepEqual(both.mentions, [ann.id, lee.id]);
  assert.equal((await heard(ann, 'mention')).length, 1);
  assert.equal((await heard(lee, 'mention')).length, 2);
  for (const other of [eve, ms]) assert.deepEqual(await heard(other, 'mention'), []);
});

test('a member that the server keeps is named too, and a removed one no more', async (t) => {
  const school = new School(t, server);
  const dan = await called(school, `Dan ${unique('d')}`, []);
  const ms = await school.attend('martin', 'teacher');
  await school.httpOk(200, 'PUT', `/api/rooms/${school.roomId}/members/${dan.id}`, { as: ms });
  assert.deepEqual((await school.say(ms, `@${dan.called}`)).mentions, [dan.id]);
  await school.httpOk(200, 'DELETE', `/api/rooms/${school.roomId}/members/${dan.id}`, { as: ms });
  assert.deepEqual((await school.say(ms, `@${dan.called}`)).mentions, []);
  assert.equal((await heard(dan, 'mention')).length, 1);
});

test('an edit tells only those whom the message did not name before', async (t) => {
  const school = new School(t, server);
  const [ann, bob] = [await school.arrive('ann'), await school.arrive('bob')];
  const ms = await school.attend('martin', 'teacher');
  const { id } = await school.say(ms, `@${ann.id}`);
  const edited = await ms.ok('edit_message', { messageId: id, content: `@${ann.id} @${bob.id}` });
  assert.deepEqual(edited.message.mentions, [ann.id, bob.id]);
  assert.equal((await bob.next('mention')).messageId, id);
  assert.equal((await heard(ann, 'mention')).length, 1);
});

test('who was away is told by the replay, and is known after kill -9 without having come again', async (t) => {
  const school = new School(t, server);
  const zoe = await school.arrive('zoe');
  const ms = await school.attend('martin', 'teacher');
  await zoe.cut();
  await school.say(ms, `@${zoe.id} while away`);
  const back = await school.back(zoe);
  assert.equal(back.hello.resumed, true);
  assert.equal((await back.next('mention')).excerpt, `@${zoe.id} while away`);
  await eventually('she is remembered', async () => {
    const kept = await school.httpOk(200, 'GET', `/v1/users/${zoe.id}/data`, { key: true });
    return kept.some(({ type }) => type === 'person');
  });
  await server.program.kill();
  await Promise.all([ms.end(), back.end()]);
  await server.program.start();
  const again = await school.back(ms);
  assert.equal(again.hello.resumed, true);
  const after = await eventually('she is known', async () => {
    const message = await school.say(again, `@${zoe.called} after the restart`);
    return message.mentions.length === 1 && message;
  });
  const last = await school.back(back);
  assert.equal((await last.next('mention')).messageId, after.id);
});

test('fifty people at most are named by one message', async (t) => {
  const school = new School(t, server);
  const ms = await school.attend('martin', 'teacher');
  const names = Array.from({ length: 60 }, (_, n) => `u${n}-${school.roomId}`);
  for (const name of names) await school.httpOk(200, 'PUT', `/api/rooms/${school.roomId}/members/${name}`, { key: true });
  const message = await school.say(ms, names.map((name) => `@${name}`).join(' '));
  assert.deepEqual(message.mentions, names.slice(0, 50));
});
