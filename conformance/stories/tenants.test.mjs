//! Two tenants with the same authors, readers and stories: nothing of one is seen by the other. And how long a session may last.

import test from 'node:test';
import assert from 'node:assert/strict';
import { renewal } from '../lib/admission.mjs';
import { unique } from '../lib/bam.mjs';
import { own } from '../lib/stock.mjs';
import { Stage, number } from '../lib/stories.mjs';

test('a token that ends is announced, renewed in place, or the end of the session', async (t) => {
  const stage = new Stage(t);
  await renewal({
    enter: ({ sub, ...claims }) => stage.connect(stage.person('Brief', { id: sub, ...claims })),
    sign: ({ sub, ...claims }) => stage.person('Brief', { id: sub, ...claims }).token,
    refused: async ({ socket }) => (await own(socket, 'connect_error', 15000))[0].data.code,
  });
});

test('two tenants with the same people and stories see nothing of each other', async (t) => {
  const ids = { ines: number(), tom: number(), zoe: number(), story: number() };
  const here = async (tenant) => {
    const stage = new Stage(t, undefined, tenant);
    const ines = await stage.connect(stage.person('Inès', { id: ids.ines, role: 'author' }));
    const tom = await stage.connect(stage.person('Tom', { id: ids.tom }));
    await tom.ok('follow', { authorId: ids.ines });
    await tom.ok('follow', { storyId: ids.story });
    await ines.notified();
    return { stage, ines, tom };
  };
  const [north, south] = [await here(unique('north')), await here(unique('south'))];
  assert.deepEqual(south.tom.online.sort(), [ids.ines, ids.tom].sort());
  const counts = {};
  for (const reader of [south.ines, south.tom]) {
    await reader.settled();
    counts[reader.name] = reader.inbox.all.length;
  }

  const story = { id: ids.story, title: 'Of the north', author: 'Inès' };
  await north.ines.ok('story:published', story);
  await north.ines.ok('story:updated', { id: ids.story, summary: 'changed' });
  await north.ines.ok('chapter:published', { id: 1, storyId: ids.story, title: 'One' });
  await north.ines.ok('profile:updated', { bio: 'north' });
  await north.ines.ok('send:notification', { userId: ids.tom, notification: { title: 'T', message: 'M' } });
  await north.ines.ok('typing:start', { recipientId: ids.tom });
  await north.tom.ok('typing:start', { storyId: ids.story });
  const zoe = await north.stage.connect(north.stage.person('Zoé', { id: ids.zoe }));
  await zoe.ok('follow', { authorId: ids.ines });
  const told = await north.stage.http('POST', '/api/broadcast/story', { token: north.stage.key, body: { ...story, id: number(), authorId: ids.ines } });
  assert.equal(told.status, 201);
  await north.tom.next('chapter:new');

  for (const reader of [south.ines, south.tom]) {
    await reader.settled();
    const came = reader.inbox.all.slice(counts[reader.name]).map(({ name }) => name);
    assert.deepEqual(came, ['notification:received'], `${reader.name}: the barrier alone`);
  }
  // What is there cannot be read or changed either, by its id; ids are each tenant's own.
  const page = await south.tom.page({ limit: 100 });
  assert.ok(page.notifications.every(({ type }) => type === null), 'the barriers alone');
  const { id } = (await north.tom.page({ limit: 1 })).notifications[0];
  await south.tom.refused('NOT_FOUND', 'notification:read', { id });
  await south.ines.refused('NOT_FOUND', 'story:updated', { id: ids.story, summary: 'mine' });
  await south.ines.ok('story:published', { ...story, title: 'Of the south' });
  assert.equal((await south.tom.next('story:new')).title, 'Of the south');
  await north.tom.settled();
  assert.equal(north.tom.all('story:new').some(({ title }) => title === 'Of the south'), false);
});
