//! Who is there: the first events of a session, coming and going once for a user, presence, typing.

import test from 'node:test';
import assert from 'node:assert/strict';
import { GRACE_MS, SLACK_MS, TYPING_MS, assertTime } from '../lib/bam.mjs';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { connected } from '../lib/stock.mjs';
import { pause } from '../lib/wait.mjs';
import { Wedding, assertFields } from '../lib/wedding.mjs';

const of = (person) => (data) => data.userId === person.id;

test('a session is told who it is, and right after it who is online', async (t) => {
  const wedding = new Wedding(t);
  const camille = await wedding.arrive('Camille', 'couple');
  await camille.ok('update_presence', { status: 'busy', customStatus: 'dancing' });
  const odile = await wedding.arrive('Odile');
  assertFields(odile.hello, 'userId', 'userName', 'role', 'weddingId', 'sessionId');
  const { sessionId, ...who } = odile.hello;
  assert.deepEqual(who, { userId: odile.id, userName: 'Odile', role: 'guest', weddingId: wedding.id });
  assert.equal(typeof sessionId, 'string');
  assert.deepEqual(odile.inbox.all.slice(0, 2).map(({ name }) => name), ['connected', 'online_users']);
  const expected = { userId: camille.id, userName: 'Camille', role: 'couple', status: 'busy', customStatus: 'dancing' };
  assert.deepEqual(odile.online.find(of(camille)), expected);
  assert.deepEqual(odile.online.find(of(odile)) ?? null, { userId: odile.id, userName: 'Odile', role: 'guest', status: 'online' });
  assert.equal(odile.online.length, 2);
});

test('a role that the app does not list is an ordinary user', async (t) => {
  const wedding = new Wedding(t);
  const emma = await wedding.arrive('Emma', 'emperor');
  assert.equal(emma.hello.role, null);
  await emma.say('may speak');
});

test('coming and going are told once for a user, not for a device, to others, and going after the grace', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const person = wedding.person('Camille', 'couple');
  const phone = await wedding.arrive(person);
  const laptop = await wedding.arrive(person);
  assert.deepEqual(await odile.next('user_online'), { userId: person.id, userName: 'Camille', role: 'couple' });
  phone.close();
  await pause(GRACE_MS + SLACK_MS);
  assert.equal((await odile.heard('user_offline')).length, 0, 'the laptop is still there');
  laptop.close();
  assert.deepEqual(await odile.next('user_offline', GRACE_MS + 2 * SLACK_MS), { userId: person.id, userName: 'Camille' });
  assert.equal((await odile.heard('user_offline')).length, 1);
  assert.equal(odile.all('user_online').length, 1);
  for (const session of [phone, laptop]) assert.equal(session.all('user_online').length, 0);
});

test('who loses the link and is back within the grace was never away', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const proxy = await Proxy.to(wedding.url);
  t.after(() => proxy.close());
  const camille = await wedding.arrive('Camille', 'guest', { url: proxy.url });
  await cutUntilGone(proxy, camille.socket);
  await connected(camille.socket);
  await pause(GRACE_MS + SLACK_MS);
  assert.equal((await odile.heard('user_offline')).length, 0);
  assert.equal(odile.all('user_online').length, 1);
});

test('a change of status is told to the others, once each; the same again costs no broadcast', async (t) => {
  const wedding = new Wedding(t);
  const person = wedding.person('Odile');
  const [phone, laptop] = [await wedding.arrive(person), await wedding.arrive(person)];
  const max = await wedding.arrive('Max');
  for (const [status, customStatus] of [['busy', 'cutting the cake'], ['away', undefined], ['online', undefined]]) {
    const answer = await phone.ok('update_presence', { status, customStatus });
    assert.equal(answer.status, status);
    const told = await max.next('presence_updated');
    const expected = { userId: phone.id, userName: 'Odile', status, ...(customStatus && { customStatus }) };
    const { lastSeen, ...rest } = told;
    assertTime(lastSeen);
    assert.deepEqual(rest, expected);
  }
  // The heartbeat of the page.
  for (let n = 0; n < 5; n += 1) await phone.ok('update_presence', { status: 'online' });
  assert.equal((await max.heard('presence_updated')).length, 3);
  for (const session of [phone, laptop]) assert.equal((await session.heard('presence_updated')).length, 0);
});

test('get_online_users has everybody who is here, once, page by page', async (t) => {
  const wedding = new Wedding(t);
  const people = ['a', 'b', 'c', 'd', 'e'].map((name) => wedding.person(name));
  for (const person of people) await wedding.arrive(person);
  const again = await wedding.arrive(people[0]);
  const page = await again.ok('get_online_users', {});
  assertFields(page, 'success', 'users', 'hasMore');
  const ids = people.map(({ id }) => id).sort();
  assert.deepEqual(page.users.map(({ userId }) => userId).sort(), ids);
  for (const user of page.users) assertFields(user, 'userId', 'userName', 'role', 'status');
  const walked = [];
  for (let next; !next || next.hasMore; walked.push(...next.users.map(({ userId }) => userId))) {
    next = await again.ok('get_online_users', { limit: 2, ...(walked.length > 0 && { before: walked.at(-1) }) });
    assert.ok(next.users.length <= 2);
  }
  assert.deepEqual([...walked].sort(), ids);
  assert.deepEqual(page.users.map(({ userId }) => userId), walked);
});

test('typing to somebody is told to them alone, in every session', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const person = wedding.person('Camille');
  const [phone, laptop] = [await wedding.arrive(person), await wedding.arrive(person)];
  const max = await wedding.arrive('Max');
  for (const isTyping of [true, false]) {
    await odile.ok('typing', { recipientId: person.id, isTyping });
    for (const session of [phone, laptop]) assert.deepEqual(await session.next('typing'), { userId: odile.id, userName: 'Odile', isTyping });
  }
  for (const guest of [odile, max]) assert.deepEqual(await guest.heard('typing'), []);
});

test('typing without a recipient is told to the wedding, and not to oneself', async (t) => {
  const wedding = new Wedding(t);
  const person = wedding.person('Odile');
  const [odile, again] = [await wedding.arrive(person), await wedding.arrive(person)];
  const max = await wedding.arrive('Max');
  await odile.ok('typing', { isTyping: true });
  assert.deepEqual(await max.next('typing'), { userId: odile.id, userName: 'Odile', isTyping: true });
  await odile.ok('typing', { isTyping: true });
  await odile.ok('typing', { isTyping: false });
  assert.deepEqual((await max.heard('typing')).map(({ isTyping }) => isTyping), [true, false], 'the same again is no news');
  for (const session of [odile, again]) assert.deepEqual(await session.heard('typing'), []);
});

for (const to of ['somebody', 'the wedding']) {
  test(`typing to ${to} ends by itself after five seconds, and not before`, async (t) => {
    const wedding = new Wedding(t);
    const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
    await odile.ok('typing', { isTyping: true, ...(to === 'somebody' && { recipientId: max.id }) });
    await max.next('typing');
    await pause(TYPING_MS - SLACK_MS);
    assert.equal((await max.heard('typing')).length, 1);
    assert.equal((await max.next('typing', 3 * SLACK_MS)).isTyping, false);
  });
}

test('typing ends with the message, and with the session that began it', async (t) => {
  const wedding = new Wedding(t);
  const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
  for (const to of [{}, { recipientId: max.id }]) {
    await odile.ok('typing', { isTyping: true, ...to });
    assert.equal((await max.next('typing')).isTyping, true);
    await odile.say('said', to);
    assert.equal((await max.next('typing', 3000)).isTyping, false);
  }
  await odile.ok('typing', { isTyping: true });
  assert.equal((await max.next('typing')).isTyping, true);
  odile.close();
  assert.equal((await max.next('typing', 3000)).isTyping, false);
});
