//! Following: at once, in every session, once told; and what followers hear.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Stage, number } from '../lib/stories.mjs';

test('a new follower notifies the author, once', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await tom.ok('follow', { authorId: ines.id }), { success: true });
  const notification = await ines.notified();
  const { type, title, message, data, read } = notification;
  assert.deepEqual([type, title, message, data, read], ['follower', 'New follower', 'Tom', { userId: tom.id }, false]);
  await ines.settled();
  assert.equal(ines.all('notification:received').filter((one) => one.type === 'follower').length, 1);
  assert.equal(tom.all('notification:received').length, 0);
});

test('an author who was away finds the notification in the inbox', async (t) => {
  const stage = new Stage(t);
  const author = stage.person('Inès', { role: 'author' });
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { authorId: author.id });
  const ines = await stage.connect(author);
  const { notifications, unread } = await ines.page();
  assert.deepEqual([unread, notifications.length, notifications[0].type, notifications[0].message], [1, 1, 'follower', 'Tom']);
});

test('whoever follows again after having left notifies again', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { authorId: ines.id });
  for (let n = 0; n < 2; n += 1) await tom.ok('unfollow', { authorId: ines.id });
  await tom.ok('follow', { authorId: ines.id });
  for (let n = 0; n < 2; n += 1) assert.equal((await ines.notified()).type, 'follower');
  assert.equal((await ines.page()).unread, 2);
});

test('nobody is notified of following themselves', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  await ines.ok('follow', { authorId: ines.id });
  assert.equal((await ines.page()).notifications.length, 0);
});

test('to follow a story does not notify the person whose id is the same number', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { storyId: ines.id });
  assert.equal((await ines.page()).notifications.length, 0);
});

test('a new follower of a story notifies its author, once', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  const id = number();
  await ines.ok('story:published', { id, title: 'Dawn', author: 'Inès' });
  for (const storyId of [id, String(id)]) await tom.ok('follow', { storyId });
  await ines.ok('follow', { storyId: id });
  const { type, title, message, data } = await ines.notified((one) => one.type === 'follower');
  assert.deepEqual([type, title, message, data], ['follower', 'New follower', 'Tom', { userId: tom.id, storyId: id }]);
  await ines.settled();
  assert.equal(ines.all('notification:received').filter((one) => one.type === 'follower').length, 1);
});

test('a profile goes to followers in every session of theirs, and to the author’s other sessions', async (t) => {
  const stage = new Stage(t);
  const person = stage.person('Inès', { role: 'author' });
  const [phone, laptop] = [await stage.connect(person), await stage.connect(person)];
  const tom = stage.person('Tom');
  const [one, two] = [await stage.connect(tom), await stage.connect(tom)];
  const stranger = await stage.connect('Zoé');
  await one.ok('follow', { authorId: person.id });
  const profile = { bio: 'writes', tags: ['a', 'b'], userId: 7 };
  await phone.ok('profile:updated', profile);
  for (const reader of [one, two, laptop]) assert.deepEqual(await reader.next('profile:updated'), { userId: person.id, profile });
  // Another device follows; whoever leaves leaves with all of them.
  await two.ok('unfollow', { authorId: person.id });
  await phone.ok('profile:updated', { bio: 'again' });
  await laptop.next('profile:updated');
  for (const reader of [one, two, stranger, phone]) await reader.settled();
  assert.equal(one.all('profile:updated').length, 1);
  assert.equal(two.all('profile:updated').length, 1);
  assert.equal(phone.all('profile:updated').length, 0);
  assert.equal(stranger.all('profile:updated').length, 0);
});

test('a session that comes later is among the followers too', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = stage.person('Tom');
  const before = await stage.connect(tom);
  await before.ok('follow', { authorId: ines.id });
  before.close();
  const after = await stage.connect(tom);
  await ines.ok('profile:updated', { bio: 'x' });
  assert.deepEqual(await after.next('profile:updated'), { userId: ines.id, profile: { bio: 'x' } });
});

test('an id is the same as a number and as a text', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { authorId: `${ines.id}` });
  await ines.ok('profile:updated', { bio: 'x' });
  assert.equal((await tom.next('profile:updated')).userId, ines.id);
  await tom.ok('unfollow', { authorId: ines.id });
  await ines.ok('profile:updated', { bio: 'y' });
  await tom.settled();
  assert.equal(tom.all('profile:updated').length, 1);
});

test('two sessions that follow at the same time notify once', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = stage.person('Tom');
  const sessions = await Promise.all([1, 2, 3, 4].map(() => stage.connect(tom)));
  await Promise.all(sessions.map((session) => session.ok('follow', { authorId: ines.id })));
  assert.equal((await ines.page()).notifications.length, 1);
});

test('a session that connects while its user follows is among the followers', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  for (let round = 0; round < 8; round += 1) {
    const tom = stage.person(`Tom ${round}`);
    const first = await stage.connect(tom);
    const [second] = await Promise.all([stage.connect(tom), first.ok('follow', { authorId: ines.id })]);
    for (let tries = 0; second.all('profile:updated').length === 0; tries += 1) {
      assert.ok(tries < 40, 'it is looked at again within some seconds');
      await ines.ok('profile:updated', { round, tries });
      await second.settled();
    }
  }
});

for (const event of ['follow', 'unfollow']) {
  for (const [what, args] of [
    ['no argument', []],
    ['null', [null]],
    ['a number', [5]],
    ['a list', [[1]]],
    ['nothing in it', [{}]],
    ['an id that is an object', [{ authorId: {} }]],
    ['an id that is a fraction', [{ authorId: 1.5 }]],
    ['an empty id', [{ authorId: '' }]],
    ['an id with a control character', [{ authorId: 'a\u0000b' }]],
    ['an id that is too long', [{ storyId: 'x'.repeat(256) }]],
    ['true', [{ storyId: true }]],
  ]) {
    test(`${event} with ${what} is INVALID_PAYLOAD`, async (t) => {
      const reader = await new Stage(t).connect('Tom');
      await reader.refused('INVALID_PAYLOAD', event, ...args);
    });
  }
}

test('a profile that is no object, or too large, is refused', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  for (const bad of [null, 5, 'text', [1]]) await ines.refused('INVALID_PAYLOAD', 'profile:updated', bad);
  await ines.refused('TOO_LARGE', 'profile:updated', { bio: 'x'.repeat(65_536) });
  await ines.ok('profile:updated', { bio: 'fine', n: number() });
});
