//! Photos: told to the whole wedding, kept, read page by page, and where their address may lead.

import test from 'node:test';
import assert from 'node:assert/strict';
import { unique } from '../lib/bam.mjs';
import { Wedding, assertFields, assertStored } from '../lib/wedding.mjs';

const URL = 'https://photos.example.org/1.jpg';
const PHOTO = ['id', 'url', 'caption', 'uploadedBy', 'uploaderName', 'createdAt'];

test('a photo goes to the whole wedding, in every session', async (t) => {
  const wedding = new Wedding(t);
  const person = wedding.person('Odile');
  const guests = [await wedding.arrive(person), await wedding.arrive(person), await wedding.dj(), await wedding.arrive('Max')];
  const answer = await guests[0].ok('new_photo', { url: URL, caption: 'The garden', uploadedBy: 'forged' });
  assertFields(answer, 'success', 'photo');
  const { photo } = answer;
  assertFields(photo, ...PHOTO);
  assertStored(photo);
  assert.deepEqual([photo.url, photo.caption, photo.uploadedBy, photo.uploaderName], [URL, 'The garden', person.id, 'Odile']);
  for (const guest of guests) assert.deepEqual(await guest.heard('new_photo'), [photo]);
  assert.equal((await guests[0].ok('new_photo', { url: URL })).photo.caption, null);
});

test('an address is any by https', async (t) => {
  const odile = await new Wedding(t).arrive('Odile');
  for (const url of ['https://[::1]:8080/a.png', 'https://é.example/ü.png', 'https://other.example/files/a.png?expires=1&signature=x']) {
    assert.equal((await odile.ok('new_photo', { url })).photo.url, url);
  }
});

test('a tempId stands for one photo', async (t) => {
  const wedding = new Wedding(t);
  const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
  const tempId = unique('temp');
  const answers = await Promise.all([1, 2, 3].map(() => odile.ok('new_photo', { url: URL, tempId })));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  await odile.refused('IDEMPOTENCY_CONFLICT', 'new_photo', { url: `${URL}?other`, tempId });
  assert.equal((await max.heard('new_photo')).length, 1);
});

test('everybody reads the photos, newest first, page by page', async (t) => {
  const wedding = new Wedding(t);
  const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
  const made = [];
  for (let n = 0; n < 5; n += 1) made.unshift((await (n % 2 ? odile : max).ok('new_photo', { url: `${URL}?${n}` })).photo);
  const page = await max.ok('get_photos', {});
  assertFields(page, 'success', 'photos', 'hasMore');
  assert.deepEqual([page.photos, page.hasMore], [made, false]);
  const first = await odile.ok('get_photos', { limit: 4 });
  assert.deepEqual([first.photos, first.hasMore], [made.slice(0, 4), true]);
  const second = await odile.ok('get_photos', { limit: 4, before: made[3].id });
  assert.deepEqual([second.photos, second.hasMore], [made.slice(4), false]);
});

for (const url of [
  'http://photos.example.org/1.jpg',
  'javascript:alert(1)',
  'data:image/png;base64,AAAA',
  'HTTPS',
  '//evil.example.org/1.jpg',
  '/\\evil.example.org/1.jpg',
  'https://',
  'https:///evil',
  '/etc/passwd',
  '/files/wedding/w/1.jpg?expires=1&signature=x',
  'http://photos.example.org/files/wedding/w/1.jpg?expires=1&name=a&signature=x',
  'https://photos.example.org/a b.jpg',
  ' https://photos.example.org/1.jpg',
  'https://photos.example.org/1.jpg\nSet-Cookie: x',
  `https://photos.example.org/${'x'.repeat(2048)}`,
  '',
  5,
  null,
  undefined,
]) {
  test(`a photo at ${JSON.stringify(url)?.slice(0, 50)} is INVALID_PAYLOAD`, async (t) => {
    const wedding = new Wedding(t);
    const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
    await odile.refused('INVALID_PAYLOAD', 'new_photo', { url, caption: 'x' });
    assert.deepEqual(await max.heard('new_photo'), []);
  });
}
