//! The inbox: what comes in, live and while away; pages, unread count, reading; by socket and by HTTP.

import test from 'node:test';
import assert from 'node:assert/strict';
import { assertProblem, unique } from '../lib/bam.mjs';
import { Stage, number } from '../lib/stories.mjs';

test('an author notifies somebody, who gets it in every session', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = stage.person('Tom');
  const [phone, laptop] = [await stage.connect(tom), await stage.connect(tom)];
  const notification = { title: 'Merci', message: 'Thank you for reading', type: 'like', data: { storyId: 7, deep: [1, { a: null }] } };
  assert.deepEqual(await ines.ok('send:notification', { userId: tom.id, notification }), { success: true });
  const got = await phone.notified();
  assert.deepEqual(await laptop.notified(), got);
  const { id, createdAt, ...rest } = got;
  assert.deepEqual(rest, { ...notification, read: false });
  assert.deepEqual((await phone.page()).notifications, [got]);
  assert.equal(ines.all('notification:received').length, 0);
});

test('type and data may be left out, and are null then', async (t) => {
  const stage = new Stage(t);
  const admin = await stage.connect(stage.person('Ada', { role: 'admin' }));
  const tom = await stage.connect('Tom');
  await admin.ok('send:notification', { userId: `${tom.id}`, notification: { title: 'T', message: 'M', data: null } });
  const { type, data } = await tom.notified();
  assert.deepEqual([type, data], [null, null]);
});

test('readers may not notify others', async (t) => {
  const stage = new Stage(t);
  const [tom, zoe] = [await stage.connect('Tom'), await stage.connect('Zoé')];
  await tom.refused('FORBIDDEN', 'send:notification', { userId: zoe.id, notification: { title: 'T', message: 'M' } });
  assert.equal((await zoe.page()).notifications.length, 0);
});

for (const [what, payload] of [
  ['nothing', undefined],
  ['null', null],
  ['no userId', { notification: { title: 'T', message: 'M' } }],
  ['a userId that is an object', { userId: {}, notification: { title: 'T', message: 'M' } }],
  ['no notification', { userId: 1 }],
  ['a notification that is a text', { userId: 1, notification: 'T' }],
  ['no title', { userId: 1, notification: { message: 'M' } }],
  ['an empty title', { userId: 1, notification: { title: '', message: 'M' } }],
  ['a title of 301 characters', { userId: 1, notification: { title: 'x'.repeat(301), message: 'M' } }],
  ['a title that is a number', { userId: 1, notification: { title: 1, message: 'M' } }],
  ['no message', { userId: 1, notification: { title: 'T' } }],
  ['a message of 2001 characters', { userId: 1, notification: { title: 'T', message: 'x'.repeat(2001) } }],
  ['a type that is a number', { userId: 1, notification: { title: 'T', message: 'M', type: 5 } }],
  ['a type of 65 characters', { userId: 1, notification: { title: 'T', message: 'M', type: 'x'.repeat(65) } }],
]) {
  test(`send:notification with ${what} is INVALID_PAYLOAD`, async (t) => {
    const ines = await new Stage(t).author('Inès');
    await ines.refused('INVALID_PAYLOAD', 'send:notification', ...(payload === undefined ? [] : [payload]));
  });
}

test('data of more than 64 KiB is TOO_LARGE, and nothing comes of it', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const notification = { title: 'T', message: 'M', data: 'x'.repeat(65_536) };
  await ines.refused('TOO_LARGE', 'send:notification', { userId: ines.id, notification });
  assert.deepEqual(await ines.page(), { success: true, notifications: [], unread: 0, hasMore: false });
});

test('an inbox is paged from the newest to the oldest', async (t) => {
  const stage = new Stage(t);
  const tom = stage.person('Tom');
  const sent = [];
  for (let n = 0; n < 7; n += 1) sent.unshift(await stage.notify(tom.id, { title: `${n}` }));
  const reader = await stage.connect(tom);
  const all = await reader.page();
  assert.deepEqual(all.notifications, sent);
  assert.deepEqual([all.unread, all.hasMore], [7, false]);
  const pages = [];
  for (let before; ; before = pages.at(-1).id) {
    const page = await reader.page({ limit: 3, ...(before && { before }) });
    assert.equal(page.unread, 7);
    pages.push(...page.notifications);
    if (!page.hasMore) break;
  }
  assert.deepEqual(pages, sent);
  await reader.refused('NOT_FOUND', 'get:notifications', { before: '0197b5e0-0000-7000-8000-000000000001' });
});

test('a page has 50 unless its limit says otherwise', async (t) => {
  const stage = new Stage(t);
  const reader = await stage.connect('Tom');
  await Promise.all(Array.from({ length: 55 }, (_, n) => stage.notify(reader.id, { title: `${n}` })));
  const page = await reader.page();
  assert.deepEqual([page.notifications.length, page.hasMore, page.unread], [50, true, 55]);
  assert.equal((await reader.page({ limit: 100 })).notifications.length, 55);
});

for (const payload of [{ limit: 0 }, { limit: 101 }, { limit: -1 }, { limit: 1.5 }, { limit: 'ten' }, { before: 7 }, { before: 'yesterday' }, { before: {} }, 5, [1]]) {
  test(`get:notifications with ${JSON.stringify(payload)} is INVALID_PAYLOAD`, async (t) => {
    const reader = await new Stage(t).connect('Tom');
    await reader.refused('INVALID_PAYLOAD', 'get:notifications', payload);
  });
}

test('reading one, and all, is remembered, and doing it again is fine', async (t) => {
  const stage = new Stage(t);
  const tom = stage.person('Tom');
  const [a, b, c] = [await stage.notify(tom.id), await stage.notify(tom.id), await stage.notify(tom.id)];
  const reader = await stage.connect(tom);
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await reader.ok('notification:read', { id: b.id }), { success: true, unread: 2 });
  const read = async () => (await reader.page()).notifications.map((one) => one.read);
  assert.deepEqual(await read(), [false, true, false]);
  for (let n = 0; n < 2; n += 1) assert.deepEqual(await reader.ok('notification:read', { all: true }), { success: true, unread: 0 });
  assert.deepEqual(await read(), [true, true, true]);
  await stage.notify(tom.id);
  assert.deepEqual(await read(), [false, true, true, true]);
  assert.deepEqual(await reader.ok('notification:read', { id: a.id }), { success: true, unread: 1 });
  assert.ok(c.id);
});

test('an inbox is one’s own: others neither see nor read it', async (t) => {
  const stage = new Stage(t);
  const [tom, zoe] = [await stage.connect('Tom'), await stage.connect('Zoé')];
  const { id } = await stage.notify(tom.id);
  assert.equal((await zoe.page()).notifications.length, 0);
  await zoe.refused('NOT_FOUND', 'notification:read', { id });
  await zoe.refused('NOT_FOUND', 'get:notifications', { before: id });
  assert.deepEqual(await zoe.ok('notification:read', { all: true }), { success: true, unread: 0 });
  assert.equal((await tom.page()).unread, 1);
});

for (const [payload, code] of [
  [{}, 'INVALID_PAYLOAD'],
  [{ all: false }, 'INVALID_PAYLOAD'],
  [{ all: 'yes' }, 'INVALID_PAYLOAD'],
  [{ id: 7 }, 'INVALID_PAYLOAD'],
  [{ id: 'seven' }, 'INVALID_PAYLOAD'],
  [{ id: null }, 'INVALID_PAYLOAD'],
  [null, 'INVALID_PAYLOAD'],
  [{ id: '0197b5e0-0000-7000-8000-000000000001' }, 'NOT_FOUND'],
]) {
  test(`notification:read with ${JSON.stringify(payload)} is ${code}`, async (t) => {
    const reader = await new Stage(t).connect('Tom');
    await reader.refused(code, 'notification:read', payload);
  });
}

test('the backend notifies by HTTP, somebody here and somebody away', async (t) => {
  const stage = new Stage(t);
  const tom = await stage.connect('Tom');
  const body = { userId: tom.id, title: 'T', message: 'M', type: 'comment', data: { n: 1 } };
  const { status, body: answer } = await stage.http('POST', '/api/notifications', { token: stage.key, body });
  assert.equal(status, 201);
  assert.deepEqual(await tom.notified(), answer);
  const { id, createdAt, ...rest } = answer;
  assert.deepEqual(rest, { title: 'T', message: 'M', type: 'comment', data: { n: 1 }, read: false });
  const away = stage.person('Zoé');
  const kept = await stage.notify(away.id);
  const zoe = await stage.connect(away);
  assert.deepEqual((await zoe.page()).notifications, [kept]);
  assert.equal(zoe.all('notification:received').length, 0, 'what was before the session is in the inbox alone');
});

test('the route is the backend’s alone', async (t) => {
  const stage = new Stage(t);
  const body = { userId: 1, title: 'T', message: 'M' };
  const post = (options) => stage.http('POST', '/api/notifications', { body, ...options });
  assertProblem(await post({}), 401, 'TOKEN_MISSING');
  assertProblem(await post({ token: stage.person('Ada', { role: 'admin' }).token }), 403, 'FORBIDDEN');
  assertProblem(await post({ token: 'not-the-key' }), 401, 'TOKEN_INVALID');
  assert.equal((await post({ token: stage.key })).status, 201);
  assert.equal((await stage.http('GET', '/api/notifications', { token: stage.key })).status, 405);
});

for (const [what, change] of [
  ['no userId', { userId: undefined }],
  ['a userId that is a list', { userId: [1] }],
  ['no title', { title: undefined }],
  ['an empty title', { title: '' }],
  ['a long title', { title: 'x'.repeat(301) }],
  ['no message', { message: undefined }],
  ['a long message', { message: 'x'.repeat(2001) }],
  ['a type that is an object', { type: {} }],
]) {
  test(`POST /api/notifications with ${what} is 400`, async (t) => {
    const stage = new Stage(t);
    const body = { userId: number(), title: 'T', message: 'M', ...change };
    assertProblem(await stage.http('POST', '/api/notifications', { token: stage.key, body }), 400, 'INVALID_PAYLOAD');
  });
}

test('unreadable JSON, and too much of it, is refused', async (t) => {
  const stage = new Stage(t);
  const post = (raw) => stage.http('POST', '/api/notifications', { token: stage.key, raw });
  assertProblem(await post('{"userId":'), 400, 'INVALID_PAYLOAD');
  const large = JSON.stringify({ userId: 1, title: 'T', message: 'M', data: 'x'.repeat(65_536) });
  assertProblem(await post(large), 413, 'TOO_LARGE');
});

test('the text of a notification is whatever text it is', async (t) => {
  const stage = new Stage(t);
  const tom = await stage.connect('Tom');
  const title = `</script>\u2028"\\ 😀 ${unique('x')}`;
  await stage.notify(tom.id, { title, message: '\u0000\u001f\ud83d\ude00' });
  const got = await tom.notified();
  assert.deepEqual([got.title, got.message], [title, '\u0000\u001f😀']);
});
