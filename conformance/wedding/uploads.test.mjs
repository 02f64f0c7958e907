//! Photos that are uploaded: by HTTP first, then told with the address; fresh addresses for everybody, and nothing left of what is not used.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import path from 'node:path';
import { assertProblem, unique } from '../lib/bam.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { called } from '../lib/witness.mjs';
import { UUID, Wedding, assertFields } from '../lib/wedding.mjs';
import { png } from '../studio/scene.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'wedding', RELAIS_FILE_LINK_SECONDS: '60' });
});
after(() => server.remove());

async function upload(guest, bytes = png(40, 30), { name = 'cake.png', field = 'file', token = guest.token } = {}) {
  const form = new FormData();
  form.append(field, new Blob([bytes], { type: 'image/png' }), name);
  const response = await fetch(`${server.url}/api/photos/upload`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: form });
  const answer = { status: response.status, headers: response.headers, body: await response.json() };
  called('POST', '/api/photos/upload', answer);
  return answer;
}

async function uploaded(guest, bytes) {
  const { status, body } = await upload(guest, bytes);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

const pathOf = (url) => new URL(url).pathname;
const bytesAt = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
/** Where the files of a photo are kept. */
const folderOf = (url) => path.dirname(path.join(server.data, 'files', decodeURIComponent(pathOf(url))));

test('an upload is answered with addresses, told by new_photo, and shown to everybody byte for byte', async (t) => {
  const wedding = new Wedding(t, { server });
  const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
  const bytes = png(600, 300);
  const file = await uploaded(odile, bytes);
  assertFields(file, 'url', 'thumbnailUrl', 'filename', 'contentType', 'bytes');
  assert.deepEqual([file.filename, file.contentType, file.bytes], ['cake.png', 'image/png', bytes.length]);
  assert.deepEqual(await bytesAt(file.url), bytes);
  assert.ok((await bytesAt(file.thumbnailUrl)).length < bytes.length + 4000);
  assert.deepEqual(await max.heard('new_photo'), []);
  const { photo } = await odile.ok('new_photo', { url: file.url, caption: 'The cake' });
  assertFields(photo, 'id', 'url', 'caption', 'uploadedBy', 'uploaderName', 'createdAt');
  assert.match(photo.id, UUID);
  assert.deepEqual([pathOf(photo.url), photo.uploadedBy], [pathOf(file.url), odile.id]);
  const [told] = await max.heard('new_photo');
  assert.deepEqual({ ...told, url: pathOf(told.url) }, { ...photo, url: pathOf(photo.url) });
  assert.deepEqual(await bytesAt(told.url), bytes);
  assert.equal((await fetch(`${told.url}&thumb=128`)).status, 200);
});

test('addresses end, and get_photos gives fresh ones', async (t) => {
  const wedding = new Wedding(t, { server });
  const odile = await wedding.arrive('Odile');
  const bytes = png(20, 20);
  const { photo } = await odile.ok('new_photo', { url: (await uploaded(odile, bytes)).url });
  const end = (url) => Number(new URL(url).searchParams.get('expires'));
  // One of a minute is made anew every quarter of it.
  const fresh = await eventually('a fresh address', async () => {
    const { photos } = await odile.ok('get_photos', {});
    return end(photos[0].url) > end(photo.url) && photos[0];
  }, 30000);
  assert.deepEqual([fresh.id, pathOf(fresh.url)], [photo.id, pathOf(photo.url)]);
  assert.deepEqual(await bytesAt(fresh.url), bytes);
});

test('an upload makes one photo, however often it is told, and nobody else\'s', async (t) => {
  const wedding = new Wedding(t, { server });
  const [odile, max] = [await wedding.arrive('Odile'), await wedding.arrive('Max')];
  const { url } = await uploaded(odile);
  const answers = await Promise.all([1, 2, 3].map(() => odile.ok('new_photo', { url })));
  for (const { photo } of answers) assert.equal(photo.id, answers[0].photo.id);
  await odile.refused('IDEMPOTENCY_CONFLICT', 'new_photo', { url, caption: 'another' });
  await max.refused('IDEMPOTENCY_CONFLICT', 'new_photo', { url });
  assert.equal((await max.heard('new_photo')).length, 1);
});

test('an address that is not of an upload for this wedding is INVALID_PAYLOAD', async (t) => {
  const wedding = new Wedding(t, { server });
  const odile = await wedding.arrive('Odile');
  const { url } = await uploaded(odile);
  const elsewhere = await new Wedding(t, { server }).arrive('Eve');
  await elsewhere.refused('INVALID_PAYLOAD', 'new_photo', { url });
  const renamed = new URL(url);
  renamed.searchParams.set('name', 'other.png');
  for (const wrong of [`${renamed}`, url.split('?')[0], url.replace('.png', '.jpg'), '/files/wedding/w/1.jpg?expires=1&signature=x', '/files/']) {
    await odile.refused('INVALID_PAYLOAD', 'new_photo', { url: wrong });
  }
  // Without the server's name it is the same address.
  await odile.ok('new_photo', { url: url.slice(new URL(url).origin.length) });
});

test('what is no picture, or comes from nobody, is refused', async (t) => {
  const wedding = new Wedding(t, { server });
  const odile = await wedding.arrive('Odile');
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>');
  assertProblem(await upload(odile, svg), 400, 'INVALID_PAYLOAD');
  assertProblem(await upload(odile, png(), { field: 'photo' }), 400, 'INVALID_PAYLOAD');
  assertProblem(await upload(odile, png(8, 8, [8001, 8000])), 413, 'TOO_LARGE');
  assertProblem(await upload(odile, Buffer.concat([png(), Buffer.alloc(20 * 1024 * 1024)])), 413, 'TOO_LARGE');
  assertProblem(await upload(odile, png(), { token: server.secrets.API_KEY }), 401, 'TENANT_REQUIRED');
  assertProblem(await upload(odile, png(), { token: 'a.b.c' }), 401, 'TOKEN_INVALID');
  const named = await upload(odile, png(), { name: 'x\u202egnp.html' });
  assert.deepEqual([named.body.contentType, named.body.filename], ['image/png', 'xgnp.html.png']);
});

test('uploads of one user are counted', async (t) => {
  const odile = await new Wedding(t, { server }).arrive('Odile');
  let [refused, taken] = [await upload(odile), 0];
  // One more may come every two seconds.
  for (; refused.status === 201 && taken < 200; taken += 1) refused = await upload(odile);
  assert.ok(taken >= 30, `${taken}`);
  assertProblem(refused, 429, 'RATE_LIMITED');
  assert.ok(refused.body.retryAfterMs > 0);
});

test('an upload that was not used is swept, and one that a photo shows stays', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'wedding', RELAIS_FILE_SWEEP_SECONDS: '6' });
  t.after(() => own.remove());
  const shared = server;
  server = own;
  t.after(() => { server = shared; });
  const odile = await new Wedding(t, { server: own }).arrive('Odile');
  const [orphan, used] = [await uploaded(odile), await uploaded(odile)];
  const { photo } = await odile.ok('new_photo', { url: used.url });
  const [gone, kept] = [folderOf(orphan.url), folderOf(used.url)];
  for (const folder of [gone, kept]) for (const name of readdirSync(folder)) utimesSync(path.join(folder, name), 1, 1);
  await eventually('the orphan is gone', () => !existsSync(gone) || readdirSync(gone).length === 0, 20000);
  assert.equal(readdirSync(kept).length, 1);
  assert.equal((await fetch(photo.url)).status, 200);
  await odile.refused('INVALID_PAYLOAD', 'new_photo', { url: orphan.url, caption: unique('late') });
  // Told again it is the same photo, although it would be too late for a new one.
  assert.equal((await odile.ok('new_photo', { url: used.url })).photo.id, photo.id);
});

test('an erased user\'s photos go with their files and thumbnails, and are in the export before', async (t) => {
  const wedding = new Wedding(t, { server });
  const [odile, jo] = [await wedding.arrive('Odile'), await wedding.arrive('Jo', 'planner')];
  const bytes = png(700, 20);
  const { photo } = await odile.ok('new_photo', { url: (await uploaded(odile, bytes)).url, caption: 'mine' });
  await fetch(`${photo.url}&thumb=128`);
  const task = await jo.task({ title: 'Lanterns', assignedTo: odile.id });
  const hers = await wedding.http('GET', `/v1/users/${odile.id}/data`, { token: wedding.key, headers: { 'relais-tenant': wedding.id } });
  const lines = hers.body.trim().split('\n').map((line) => JSON.parse(line));
  const items = lines.filter(({ type }) => type === 'item').map(({ data }) => data);
  assert.deepEqual(items.map(({ id }) => id), [photo.id, task.id]);
  assert.deepEqual(await bytesAt(items[0].files[0].url), bytes);
  assert.deepEqual(await bytesAt(items[0].fields.url), bytes);
  const storage = path.join(server.data, 'files');
  const below = path.relative(path.join(storage, 'files'), folderOf(photo.url));
  const folders = ['files', 'thumbnails'].map((place) => path.join(storage, place, below));
  const left = () => folders.flatMap((folder) => {
    const found = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
    return found.filter((entry) => entry.isFile()).map(({ name }) => name);
  });
  assert.deepEqual(left().map((name) => path.extname(name)).sort(), ['', '.png'], 'the picture and a smaller one');
  odile.close();
  const erased = await wedding.http('DELETE', `/v1/users/${odile.id}/data`, { token: wedding.key, headers: { 'relais-tenant': wedding.id } });
  assert.deepEqual([erased.body.items, erased.body.assignments], [1, 1]);
  assert.equal((await fetch(photo.url)).status, 404);
  assert.deepEqual(left(), []);
  assert.deepEqual((await jo.ok('get_photos', {})).photos, []);
  const { task: told } = await jo.nextWhere('task_updated', (data) => data.task.id === task.id && data.task.assignedTo === null);
  assert.equal(told.title, 'Lanterns');
});
