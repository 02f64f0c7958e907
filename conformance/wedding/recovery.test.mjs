//! A lost link: what a guest and a DJ missed comes once and in order, and nothing of it has to be asked for.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { WAYS, connected } from '../lib/stock.mjs';
import { Wedding } from '../lib/wedding.mjs';

/** Somebody behind a proxy, and an absence with something happening meanwhile. */
async function away(t, wedding, name, role, options = {}) {
  const proxy = await Proxy.to(wedding.url);
  t.after(() => proxy.close());
  const guest = await wedding.arrive(name, role, { url: proxy.url, ...options });
  const absence = async (meanwhile) => {
    proxy.refuse();
    await cutUntilGone(proxy, guest.socket);
    await meanwhile();
    proxy.welcome();
    await connected(guest.socket, 10000);
    assert.equal(guest.socket.recovered, true);
  };
  return { guest, absence };
}

for (const [way, transports] of Object.entries(WAYS)) {
  test(`a guest who lost the link gets the answers to their wishes, once and in order: ${way}`, async (t) => {
    const wedding = new Wedding(t);
    const dj = await wedding.dj();
    const { guest: odile, absence } = await away(t, wedding, 'Odile', 'guest', transports);
    const songs = [];
    for (let n = 0; n < 6; n += 1) songs.push(await odile.song({ songTitle: `${n}` }));
    const told = (guest) => guest.all('music_request_updated').map(({ id, status }) => [id, status]);
    await dj.ok('accept_music', { requestId: songs[0].id });
    await odile.next('music_request_updated');
    await absence(async () => {
      for (const { id } of songs.slice(1)) await dj.ok('reject_music', { requestId: id });
    });
    await odile.settled();
    assert.deepEqual(told(odile), songs.map(({ id }, n) => [id, n === 0 ? 'accepted' : 'rejected']));
    assert.equal(odile.all('connected').length, 1, 'a resumed session is not greeted again');
    assert.deepEqual(told(dj), told(odile));
  });
}

test('a DJ who lost the link gets the wishes and the other DJ’s answers, in the order in which they came', async (t) => {
  const wedding = new Wedding(t);
  const [odile, second] = [await wedding.arrive('Odile'), await wedding.dj('Second')];
  const { guest: dj, absence } = await away(t, wedding, 'Marco', 'dj');
  const expected = [];
  await absence(async () => {
    for (let n = 0; n < 4; n += 1) {
      const { id } = n % 2 ? await odile.mic() : await odile.song();
      await second.ok(n % 2 ? 'approve_mic' : 'accept_music', { requestId: id });
      const kind = n % 2 ? 'mic' : 'music';
      expected.push([`${kind}_request`, id], [`${kind}_request_updated`, id]);
    }
  });
  await dj.settled();
  const came = dj.inbox.all.filter(({ name }) => name.includes('_request')).map(({ name, args }) => [name, args[0].id]);
  assert.deepEqual(came, expected);
});

test('messages, photos and tasks of an absence come too, and what was for others does not', async (t) => {
  const wedding = new Wedding(t);
  const [jo, max] = [await wedding.arrive('Jo', 'planner'), await wedding.arrive('Max')];
  const { guest: odile, absence } = await away(t, wedding, 'Odile', 'guest');
  let made;
  await absence(async () => {
    const toAll = await jo.say('to all');
    await jo.say('not for her', { recipientId: max.id });
    const direct = await max.say('for her', { recipientId: odile.id });
    const { photo } = await max.ok('new_photo', { url: 'https://photos.example.org/1.jpg' });
    const task = await jo.task({ title: 'Cake', assignedTo: odile.id });
    await max.song();
    made = [toAll.id, direct.id, photo.id, task.id, task.id];
  });
  await odile.settled();
  const stored = ['new_message', 'new_photo', 'task_updated', 'task_assigned', 'music_request', 'music_request_updated'];
  const came = odile.inbox.all.filter(({ name }) => stored.includes(name));
  assert.deepEqual(came.map(({ args: [data] }) => data.id ?? data.task.id), made);
  assert.deepEqual(came.slice(3).map(({ name }) => name), ['task_updated', 'task_assigned']);
});
