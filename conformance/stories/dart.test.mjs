//! A Dart client in `stories`, byte for byte from a bare socket: every event one object, every ack one object, ids as numbers, no
//! offset, nothing that its casts would break on.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ackOf, dartSocket, eventOf, readOpen } from '../lib/dart.mjs';
import { Stage, URL_OF_STORIES, number } from '../lib/stories.mjs';
import { OP } from '../lib/wire.mjs';

/** A Dart client, with its first two events taken. */
async function dart(person) {
  const { wire } = await dartSocket(URL_OF_STORIES);
  await readOpen(wire);
  wire.text(`40{"token":${JSON.stringify(person.token)},"offset":null}`);
  const connect = (await wire.next('CONNECT')).text;
  const [hello, online] = [await eventOf(wire), await eventOf(wire)];
  let ids = 0;
  const ask = async (...call) => {
    wire.text(`42${(ids += 1)}${JSON.stringify(call)}`);
    return ackOf(wire, ids);
  };
  /** The raw text of the next event of that name. */
  const raw = async (name) => {
    const got = await wire.frames.next(`event ${name}`, ({ opcode, text }) => opcode === OP.text && text.startsWith(`42["${name}",`));
    return got.text.slice(2);
  };
  return { wire, connect, hello, online, ask, raw };
}

test('a session begins with connected and users:online, and has no pid', async (t) => {
  const stage = new Stage(t);
  const person = stage.person('Inès', { role: 'author' });
  const { wire, connect, hello, online } = await dart(person);
  assert.match(connect, /^40\{"sid":"[^"]+"\}$/);
  assert.equal(hello.length, 2);
  assert.equal(hello[0], 'connected');
  assert.equal(hello[1].userId, person.id);
  assert.equal(online.length, 2);
  assert.equal(online[0], 'users:online');
  assert.ok(online[1].includes(person.id), 'a number among the ids');
  wire.end();
});

test('ids that went in as numbers come out as numbers, without quotes', async (t) => {
  const stage = new Stage(t);
  const [one, two] = [stage.person('Inès', { role: 'author' }), stage.person('Tom')];
  const [ines, tom] = [await dart(one), await dart(two)];
  await tom.ask('follow', { authorId: one.id });
  assert.match(await ines.raw('notification:received'), new RegExp(`"data":\\{"userId":${two.id}\\}`));
  await tom.ask('typing:start', { recipientId: one.id });
  assert.equal(await ines.raw('user:typing'), `["user:typing",{"userId":${two.id},"userName":"Tom","recipientId":${one.id}}]`);
  const storyId = number();
  for (const client of [ines, tom]) await client.ask('follow', { storyId });
  await tom.ask('typing:start', { storyId });
  assert.equal(await ines.raw('user:typing'), `["user:typing",{"userId":${two.id},"userName":"Tom","storyId":${storyId}}]`);
  await ines.ask('profile:updated', { bio: 'x' });
  assert.equal(await tom.raw('profile:updated'), `["profile:updated",{"userId":${one.id},"profile":{"bio":"x"}}]`);
  const three = await dart(stage.person('Zoé', { id: number() }));
  assert.match(await tom.raw('user:online'), /^\["user:online",\{"userId":\d+\}\]$/);
  for (const client of [ines, tom, three]) client.wire.end();
});

test('every ack is exactly one object, also of what is refused', async (t) => {
  const stage = new Stage(t);
  const person = stage.person('Inès', { role: 'author' });
  const { wire, ask } = await dart(person);
  const notification = { title: 'T', message: 'M' };
  for (const call of [
    ['ping'],
    ['ping', null],
    ['follow', { authorId: person.id }],
    ['follow', {}],
    ['unfollow', { authorId: person.id }],
    ['typing:start', { recipientId: person.id }],
    ['typing:stop', { recipientId: person.id }],
    ['send:notification', { userId: person.id, notification }],
    ['send:notification', { userId: person.id }],
    ['get:notifications', { limit: 1 }],
    ['get:notifications'],
    ['notification:read', { all: true }],
    ['notification:read', {}],
    ['profile:updated', { bio: 'x' }],
    ['no:such:event', {}],
  ]) {
    const answer = await ask(...call);
    assert.equal(answer.length, 1, call[0]);
    assert.equal(typeof answer[0].success, 'boolean', call[0]);
  }
  wire.end();
});

test('every event is one object or list, and asks for no ack', async (t) => {
  const stage = new Stage(t);
  const person = stage.person('Inès', { role: 'author' });
  const { wire, ask } = await dart(person);
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { authorId: person.id });
  await tom.ok('typing:start', { recipientId: person.id });
  await tom.ok('typing:stop', { recipientId: person.id });
  await ask('ping');
  wire.text('42["ping"]');
  wire.text('42["no:such:event"]');
  const wanted = new Set(['notification:received', 'user:typing', 'user:stopped_typing', 'pong', 'error', 'user:online']);
  while (wanted.size > 0) {
    const event = await eventOf(wire);
    assert.equal(event.length, 2, event[0]);
    assert.equal(typeof event[1], 'object', event[0]);
    wanted.delete(event[0]);
  }
  wire.end();
});

test('a client that asks for recovery gets the notifications that it missed', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès', { auth: { recovery: 1 }, reconnectionDelay: 300, reconnectionDelayMax: 300 });
  const tom = await stage.connect('Tom');
  assert.equal(ines.online.length > 0, true);
  const back = new Promise((resolve) => ines.socket.io.once('reconnect', resolve));
  ines.socket.io.engine.close();
  await tom.ok('follow', { authorId: ines.id });
  const { id } = await stage.notify(ines.id, { title: 'meanwhile' });
  await back;
  const [first, second] = [await ines.notified(), await ines.notified()];
  assert.equal(ines.socket.recovered, true);
  assert.deepEqual([first.type, second.id], ['follower', id]);
});
