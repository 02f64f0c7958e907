//! Stories and chapters: published by socket and by HTTP, told to everybody or to followers, and what followers are notified of.

import test from 'node:test';
import assert from 'node:assert/strict';
import { assertProblem } from '../lib/bam.mjs';
import { Stage, number } from '../lib/stories.mjs';

const story = (more = {}) => ({ id: number(), title: 'Dawn', author: 'Inès', cover: 'c.png', tags: ['a'], ...more });
const chapter = (storyId, more = {}) => ({ storyId, id: number(), title: 'Noon', words: 1200, ...more });
const of = (id) => (data) => data.id === id;

test('a story is told to everybody, and its author’s followers are notified, once each', async (t) => {
  const stage = new Stage(t);
  const [ines, tom, zoe] = [await stage.author('Inès'), await stage.connect('Tom'), await stage.connect('Zoé')];
  await tom.ok('follow', { authorId: ines.id });
  const published = story({ authorId: 7 });
  const expected = { ...published, authorId: ines.id };
  assert.deepEqual(await ines.ok('story:published', published), { success: true, story: expected });
  for (const reader of [ines, tom, zoe]) assert.deepEqual(await reader.nextWhere('story:new', of(published.id)), expected);
  const { type, title, message, data } = await tom.notified();
  assert.deepEqual([type, title, message, data], ['story', 'New story', 'Dawn', { storyId: published.id, authorId: ines.id }]);
  for (const reader of [ines, tom, zoe]) await reader.settled();
  const notified = (reader) => reader.all('notification:received').filter((one) => one.type === 'story').length;
  assert.deepEqual([ines, tom, zoe].map(notified), [0, 1, 0]);
  assert.deepEqual((await tom.page()).notifications.map((one) => one.type), [null, 'story']);
});

test('an author who follows herself is not notified of her own story', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  await ines.ok('follow', { authorId: ines.id });
  await ines.ok('story:published', story());
  assert.equal((await ines.page()).notifications.length, 0);
});

test('a follower who was away finds the story in the inbox', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const person = stage.person('Tom');
  const before = await stage.connect(person);
  await before.ok('follow', { authorId: ines.id });
  before.close();
  await ines.ok('story:published', story({ title: 'While away' }));
  const tom = await stage.connect(person);
  const { notifications, unread } = await tom.page();
  assert.deepEqual([unread, notifications[0].type, notifications[0].message], [1, 'story', 'While away']);
});

test('the same story again is the same answer and no second event; another under its id is refused', async (t) => {
  const stage = new Stage(t);
  const [ines, tom] = [await stage.author('Inès'), await stage.connect('Tom')];
  await tom.ok('follow', { authorId: ines.id });
  const published = story();
  const first = await ines.ok('story:published', published);
  assert.deepEqual(await ines.ok('story:published', published), first);
  await ines.refused('IDEMPOTENCY_CONFLICT', 'story:published', { ...published, title: 'Dusk' });
  const other = await stage.author('Max');
  await other.refused('IDEMPOTENCY_CONFLICT', 'story:published', published);
  await tom.settled();
  assert.equal(tom.all('story:new').filter(of(published.id)).length, 1);
  assert.equal((await tom.page()).notifications.filter((one) => one.type === 'story').length, 1);
});

test('an update is told to the story’s followers, and only its author may make it', async (t) => {
  const stage = new Stage(t);
  const [ines, tom, zoe] = [await stage.author('Inès'), await stage.connect('Tom'), await stage.connect('Zoé')];
  const published = story();
  await ines.ok('story:published', published);
  await tom.ok('follow', { storyId: published.id });
  const { story: updated } = await ines.ok('story:updated', { id: published.id, title: 'Dusk', finished: true });
  assert.deepEqual([updated.id, updated.title, updated.finished, updated.authorId], [published.id, 'Dusk', true, ines.id]);
  assert.deepEqual(await tom.nextWhere('story:updated', of(published.id)), updated);
  await zoe.refused('FORBIDDEN', 'story:updated', { id: published.id, title: 'Mine' });
  await (await stage.author('Max')).refused('FORBIDDEN', 'story:updated', { id: published.id, title: 'Mine' });
  await ines.refused('NOT_FOUND', 'story:updated', { id: number(), title: 'Nothing' });
  await zoe.settled();
  assert.equal(zoe.all('story:updated').length, 0);
});

test('a chapter is told to the story’s followers, and they are notified', async (t) => {
  const stage = new Stage(t);
  const [ines, tom, zoe] = [await stage.author('Inès'), await stage.connect('Tom'), await stage.connect('Zoé')];
  const { id: storyId } = (await ines.ok('story:published', story())).story;
  for (const reader of [tom, ines]) await reader.ok('follow', { storyId });
  const published = chapter(storyId);
  assert.deepEqual(await ines.ok('chapter:published', published), { success: true, chapter: published });
  for (const reader of [tom, ines]) assert.deepEqual(await reader.next('chapter:new'), published);
  const { type, title, message, data } = await tom.notified((one) => one.type === 'chapter');
  assert.deepEqual([type, title, message, data], ['chapter', 'New chapter', 'Noon', { storyId, chapterId: published.id }]);
  for (const reader of [zoe, ines]) await reader.settled();
  assert.equal(zoe.all('chapter:new').length, 0);
  assert.equal(ines.all('notification:received').some((one) => one.type === 'chapter'), false);
});

test('a chapter is published by the author of its story, an admin or the backend, and by nobody else', async (t) => {
  const stage = new Stage(t);
  const [ines, max, tom] = [await stage.author('Inès'), await stage.author('Max'), await stage.connect('Tom')];
  const { id: storyId } = (await ines.ok('story:published', story())).story;
  for (const reader of [tom, max]) await reader.ok('follow', { storyId });
  await max.refused('FORBIDDEN', 'chapter:published', chapter(storyId));
  await tom.refused('FORBIDDEN', 'chapter:published', chapter(storyId));
  // Of a story that the server does not know nobody is the author.
  await ines.refused('FORBIDDEN', 'chapter:published', chapter(number()));
  const admin = await stage.connect(stage.person('Ada', { role: 'admin' }));
  const post = (body) => stage.http('POST', '/api/broadcast/chapter', { token: stage.key, body });
  const [one, two, three] = [chapter(storyId), chapter(storyId), chapter(String(storyId))];
  await ines.ok('chapter:published', one);
  await admin.ok('chapter:published', two);
  assert.equal((await post(three)).status, 201);
  assert.equal((await post(chapter(number()))).status, 201);
  await tom.settled();
  assert.deepEqual(tom.all('chapter:new').map(({ id }) => id), [one, two, three].map(({ id }) => id));
});

test('a story that the backend has published for an author is that author\'s to go on with', async (t) => {
  const stage = new Stage(t);
  const [ines, max] = [await stage.author('Inès'), await stage.author('Max')];
  const hers = story({ authorId: ines.id });
  assert.equal((await stage.http('POST', '/api/broadcast/story', { token: stage.key, body: hers })).status, 201);
  await max.refused('FORBIDDEN', 'chapter:published', chapter(hers.id));
  await ines.ok('chapter:published', chapter(hers.id));
});

test('readers publish nothing', async (t) => {
  const stage = new Stage(t);
  const tom = await stage.connect('Tom');
  await tom.refused('FORBIDDEN', 'story:published', story());
  await tom.refused('FORBIDDEN', 'chapter:published', chapter(1));
  const admin = await stage.connect(stage.person('Ada', { role: 'admin' }));
  await admin.ok('story:published', story());
});

for (const [event, payload] of [
  ['story:published', undefined],
  ['story:published', null],
  ['story:published', {}],
  ['story:published', { ...story(), id: undefined }],
  ['story:published', story({ id: {} })],
  ['story:published', story({ id: '' })],
  ['story:published', story({ title: '' })],
  ['story:published', story({ title: 5 })],
  ['story:published', story({ title: 'x'.repeat(301) })],
  ['story:published', story({ author: undefined })],
  ['story:updated', {}],
  ['story:updated', { title: 'x' }],
  ['chapter:published', {}],
  ['chapter:published', chapter(undefined)],
  ['chapter:published', chapter(1, { id: undefined })],
  ['chapter:published', chapter(1, { title: null })],
]) {
  const shown = JSON.stringify(payload)?.slice(0, 60);
  test(`${event} with ${shown} is INVALID_PAYLOAD`, async (t) => {
    const ines = await new Stage(t).author('Inès');
    await ines.refused('INVALID_PAYLOAD', event, ...(payload === undefined ? [] : [payload]));
  });
}

test('the backend publishes a story by HTTP, for an author or for nobody', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  await tom.ok('follow', { authorId: ines.id });
  const post = (body, token = stage.key) => stage.http('POST', '/api/broadcast/story', { token, body });
  const hers = story({ authorId: ines.id });
  const { status, body } = await post(hers);
  assert.equal(status, 201, JSON.stringify(body));
  assert.deepEqual(body, hers);
  assert.deepEqual(await tom.nextWhere('story:new', of(hers.id)), hers);
  assert.equal((await tom.notified()).type, 'story');
  const nobodys = story();
  assert.equal((await post(nobodys)).status, 201);
  const told = await tom.nextWhere('story:new', of(nobodys.id));
  assert.equal(told.authorId, null);
  assert.equal((await tom.page()).notifications.length, 1);
  assertProblem(await post(story({ title: '' })), 400, 'INVALID_PAYLOAD');
  assertProblem(await post(story(), ines.token), 403, 'FORBIDDEN');
  assertProblem(await post(story(), 'no'), 401, 'TOKEN_INVALID');
});

test('the backend publishes a chapter by HTTP', async (t) => {
  const stage = new Stage(t);
  const tom = await stage.connect('Tom');
  const storyId = number();
  await tom.ok('follow', { storyId });
  const published = chapter(storyId);
  const { status, body } = await stage.http('POST', '/api/broadcast/chapter', { token: stage.key, body: published });
  assert.equal(status, 201, JSON.stringify(body));
  assert.deepEqual(await tom.next('chapter:new'), published);
  assert.equal((await tom.notified()).type, 'chapter');
  assertProblem(await stage.http('POST', '/api/broadcast/chapter', { token: stage.key, body: { title: 'x' } }), 400, 'INVALID_PAYLOAD');
});
