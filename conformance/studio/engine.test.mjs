//! The embedded engine, and workers that die: pictures out of words with progress, the same for the same seed, and tasks that go on
//! after a kill.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import zlib from 'node:zlib';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { ORDER, Scene, unique } from './scene.mjs';

const APP = fileURLToPath(new URL('../../apps/studio.toml', import.meta.url));
/** The app with leases that a test can wait for. */
const apps = mkdtempSync(path.join(tmpdir(), 'relais-apps-'));
writeFileSync(path.join(apps, 'studio.toml'), readFileSync(APP, 'utf8').replace('lease = "60s"', 'lease = "2s"'));

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio' });
});
after(async () => {
  await server.remove();
  rmSync(apps, { recursive: true, force: true });
});

test('out of the box a task becomes real pictures, with progress on the way', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice, { prompt: 'oil painting of a mountain at sunset', width: 768, height: 512, count: 3 });
  const done = await page.next('task.files.uploaded', (data) => data.taskId === task.taskId, 60000);
  const updates = page.all('task.updated').map((frame) => frame.data).filter((data) => data.taskId === task.taskId);
  const steps = updates.map((data) => ORDER.indexOf(data.status));
  assert.deepEqual(steps, steps.toSorted((a, b) => a - b), 'only forward');
  assert.deepEqual([...new Set(steps)], [0, 1, 2, 3]);
  const progress = updates.map((data) => data.progress ?? 0);
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
  assert.equal(progress.at(-1), 100);
  assert.ok(progress.some((share) => share > 0 && share < 100), `${progress}`);
  assert.match(done.promptId, /^[0-9a-f-]{36}$/);
  assert.match(done.comfyClientId, /^[0-9a-f-]{36}$/);
  assert.equal(done.files.length, 3);
  const pictures = await Promise.all(done.files.map(async (file) => Buffer.from(await (await fetch(file.s3Url)).arrayBuffer())));
  for (const picture of pictures) assert.deepEqual([picture.readUInt32BE(16), picture.readUInt32BE(20)], [768, 512]);
  assert.equal(new Set(pictures.map((picture) => picture.toString('latin1'))).size, 3);
});

/** The pixels of a PNG without interlacing: its size, and how many colours it has. */
function colours(bytes) {
  assert.deepEqual(bytes.subarray(0, 8), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
  const [width, height, depth, kind] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20), bytes[24], bytes[25]];
  assert.equal(depth, 8);
  const parts = [];
  for (let at = 8; at < bytes.length; at += bytes.readUInt32BE(at) + 12) {
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  }
  const raw = zlib.inflateSync(Buffer.concat(parts));
  const each = { 2: 3, 6: 4 }[kind];
  const row = width * each;
  assert.equal(raw.length, height * (row + 1), 'every row is there');
  const [before, line, seen] = [Buffer.alloc(row), Buffer.alloc(row), new Set()];
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x += 1) {
      const [left, up, corner] = [x < each ? 0 : line[x - each], before[x], x < each ? 0 : before[x - each]];
      const near = [left, up, corner].map((one) => Math.abs(left + up - corner - one));
      const paeth = near[0] <= near[1] && near[0] <= near[2] ? left : near[1] <= near[2] ? up : corner;
      line[x] = raw[y * (row + 1) + 1 + x] + [0, left, up, (left + up) >> 1, paeth][filter];
    }
    for (let x = 0; x < row; x += each) seen.add(line.readUIntBE(x, 3));
    line.copy(before);
  }
  return { width, height, count: seen.size };
}

/** A task of one picture as it became: what is told of it, its bytes, and the updates on the way. */
async function painted(scene, wish) {
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice, { prompt: 'city at night', width: 192, height: 128, ...wish });
  await page.next('task.files.uploaded', (data) => data.taskId === task.taskId, 60000);
  const done = (await scene.get(alice, task)).json;
  assert.deepEqual([done.status, done.files.length], ['SUCCESS', 1]);
  const bytes = Buffer.from(await (await fetch(done.files[0].s3Url)).arrayBuffer());
  return { done, bytes, updates: page.all('task.updated').map((frame) => frame.data) };
}

test('the same words, seed and size are the same picture byte for byte, for anybody and on any server', async (t) => {
  const scene = new Scene(t, server);
  const wish = { prompt: 'city at night', seed: 42 };
  const first = await painted(scene, wish);
  assert.equal(first.done.seed, 42);
  assert.deepEqual((await painted(scene, wish)).bytes, first.bytes);
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio' });
  t.after(() => own.remove());
  assert.deepEqual((await painted(new Scene(t, own), wish)).bytes, first.bytes);
});

test('another seed, other words and another size are each another picture', async (t) => {
  const scene = new Scene(t, server);
  const wishes = [{ seed: 42 }, { seed: 43 }, { seed: 42, prompt: 'a lake at dawn' }, { seed: 42, negativePrompt: 'moon' }, { seed: 42, width: 128, height: 192 }];
  const pictures = [];
  for (const wish of wishes) pictures.push((await painted(scene, wish)).bytes);
  const [one, ...others] = pictures;
  for (const [index, other] of others.entries()) if (index !== 2) assert.notDeepEqual(other, one, JSON.stringify(wishes[index + 1]));
  for (const [index, bytes] of pictures.entries()) {
    const { width, height, count } = colours(bytes);
    assert.deepEqual([width, height], [wishes[index].width ?? 192, wishes[index].height ?? 128]);
    assert.ok(count > 100, `a picture has colours, this one ${count}`);
  }
});

test('progress only grows, begins before the picture is there, and ends with 100', async (t) => {
  const { done, updates } = await painted(new Scene(t, server), { prompt: 'a harbour at noon', width: 512, height: 384 });
  const steps = updates.map(({ status }) => ORDER.indexOf(status));
  assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
  assert.deepEqual([steps[0], steps.at(-1)], [0, 3]);
  const progress = updates.filter((data) => 'progress' in data).map((data) => data.progress);
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
  assert.ok(progress.every((share) => share >= 0 && share <= 100));
  assert.equal(progress.at(-1), 100);
  assert.equal(updates.filter(({ status }) => status === 'SUCCESS').length, 1);
  assert.equal(done.progress, 100);
});

test('a seed that was chosen for somebody is told, and gives the picture again', async (t) => {
  const scene = new Scene(t, server);
  const chosen = await painted(scene, {});
  assert.ok(Number.isSafeInteger(chosen.done.seed));
  assert.deepEqual((await painted(scene, { seed: chosen.done.seed })).bytes, chosen.bytes);
  assert.notDeepEqual((await painted(scene, { seed: chosen.done.seed + 1 })).bytes, chosen.bytes);
});

test('a task that is deleted while it is painted is not painted on, and leaves nothing', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const task = await scene.task(alice, { prompt: 'oil painting of a forest', width: 2048, height: 2048, count: 8 });
  await scene.reached(alice, task, 'EXECUTING');
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${task.taskId}`)).status, 200);
  const next = await scene.task(alice, { prompt: 'a lake' });
  await scene.reached(alice, next, 'SUCCESS');
  assert.equal((await scene.get(alice, task)).status, 404);
});

test('a server that is killed in the middle of a task goes on with it, and the files are there once', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', RELAIS_APPS_DIR: apps });
  t.after(() => own.remove());
  const scene = new Scene(t, own);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice, { prompt: 'oil painting of a meadow', width: 512, height: 512, count: 3 });
  await page.next('task.updated', (data) => data.taskId === task.taskId && data.progress > 35, 60000);
  await own.program.kill();
  await own.program.start();
  const again = await scene.back(page);
  assert.equal(again.hello.resumed, true);
  const done = await again.next('task.files.uploaded', (data) => data.taskId === task.taskId, 60000);
  assert.equal(done.files.length, 3);
  for (const file of done.files) assert.equal((await fetch(file.s3Url)).status, 200);
  assert.equal(again.all('task.files.uploaded').length, 1);
});

test('a worker that is killed gives its task back, and one that is lost too often fails', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', RELAIS_APPS_DIR: apps, STUDIO_ENGINE: 'none' });
  t.after(() => own.remove());
  const scene = new Scene(t, own);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice);
  const program = `
    const headers = { authorization: 'Bearer ${own.secrets.API_KEY}', 'content-type': 'application/json' };
    const task = await (await fetch('${own.url}/tasks/claim', { method: 'POST', headers })).json();
    await fetch('${own.url}/tasks/' + task.taskId, { method: 'PATCH', headers, body: JSON.stringify({ status: 'EXECUTING', progress: 5 }) });
    setInterval(() => {}, 1000);`;
  const worker = spawn(process.execPath, ['--input-type=module', '-e', program]);
  const gone = new Promise((resolve) => worker.on('exit', resolve));
  await page.next('task.updated', (data) => data.status === 'EXECUTING');
  worker.kill('SIGKILL');
  await gone;
  assert.equal((await scene.claim()).status, 404, 'its lease still runs');
  const claimed = () => eventually('the task can be claimed again', async () => {
    const { status, json } = await scene.claim();
    return status === 200 && json;
  }, 10000);
  const second = await claimed();
  assert.deepEqual([second.taskId, second.status], [task.taskId, 'EXECUTING'], 'never back');
  await claimed();
  await eventually('it has failed', async () => {
    await scene.claim();
    return (await scene.get(alice, task)).json.status === 'FAILED';
  }, 10000);
  assert.equal((await page.next('task.updated', (data) => data.status === 'FAILED')).taskId, task.taskId);
});
