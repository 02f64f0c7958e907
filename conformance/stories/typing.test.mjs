//! Typing: to a person, or among the followers of a story; it ends by itself, and with its session.

import test from 'node:test';
import assert from 'node:assert/strict';
import { SLACK_MS, TYPING_MS } from '../lib/bam.mjs';
import { Stage, number } from '../lib/stories.mjs';

test('typing to somebody is told to them alone, in every session, with ids as numbers', async (t) => {
  const stage = new Stage(t);
  const tom = await stage.connect('Tom');
  const zoe = stage.person('Zoé');
  const [phone, laptop] = [await stage.connect(zoe), await stage.connect(zoe)];
  const stranger = await stage.connect('Max');
  const expected = { userId: tom.id, userName: 'Tom', recipientId: zoe.id };
  await tom.ok('typing:start', { recipientId: zoe.id });
  for (const session of [phone, laptop]) assert.deepEqual(await session.next('user:typing'), expected);
  await tom.ok('typing:stop', { recipientId: zoe.id });
  for (const session of [phone, laptop]) assert.deepEqual(await session.next('user:stopped_typing'), expected);
  for (const reader of [tom, stranger]) {
    await reader.settled();
    assert.equal(reader.all('user:typing').length + reader.all('user:stopped_typing').length, 0);
  }
});

test('typing in a story is told to its other followers, with the story’s id as it was written', async (t) => {
  const stage = new Stage(t);
  const storyId = number();
  const [tom, zoe, max] = [await stage.connect('Tom'), await stage.connect('Zoé'), await stage.connect('Max')];
  for (const reader of [tom, zoe]) await reader.ok('follow', { storyId });
  await tom.ok('typing:start', { storyId });
  const expected = { userId: tom.id, userName: 'Tom', storyId };
  assert.deepEqual(await zoe.next('user:typing'), expected);
  await tom.ok('typing:stop', { storyId });
  assert.deepEqual(await zoe.next('user:stopped_typing'), expected);
  await max.refused('NOT_A_MEMBER', 'typing:start', { storyId });
  for (const reader of [tom, max]) {
    await reader.settled();
    assert.equal(reader.all('user:typing').length, 0);
  }
});

test('typing that is not renewed is over after five seconds', async (t) => {
  const stage = new Stage(t);
  const [tom, zoe] = [await stage.connect('Tom'), await stage.connect('Zoé')];
  await tom.ok('typing:start', { recipientId: zoe.id });
  await zoe.next('user:typing');
  const stopped = await zoe.next('user:stopped_typing', TYPING_MS + 2 * SLACK_MS);
  assert.equal(stopped.userId, tom.id);
});

test('typing ends with the session that began it', async (t) => {
  const stage = new Stage(t);
  const [tom, zoe] = [await stage.connect('Tom'), await stage.connect('Zoé')];
  await tom.ok('typing:start', { recipientId: zoe.id });
  await zoe.next('user:typing');
  tom.close();
  await zoe.next('user:stopped_typing', 3000);
});

for (const event of ['typing:start', 'typing:stop']) {
  for (const payload of [undefined, null, {}, { recipientId: {} }, { recipientId: 1.5 }, { storyId: [] }, { storyId: '' }, 7]) {
    test(`${event} with ${JSON.stringify(payload)} is INVALID_PAYLOAD`, async (t) => {
      const reader = await new Stage(t).connect('Tom');
      await reader.refused('INVALID_PAYLOAD', event, ...(payload === undefined ? [] : [payload]));
    });
  }
}
