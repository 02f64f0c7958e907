//! Files in a store that speaks S3: stored, fetched by their signed addresses, made smaller, deleted and swept as in a folder.
//!
//! The store is s3rver, somebody else's program, started here in a process of its own; what it holds is looked at in its folder.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program, freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { Scene, png, unique } from './scene.mjs';

const S3RVER = fileURLToPath(new URL('../node_modules/s3rver/bin/s3rver.js', import.meta.url));
/** The one account that s3rver has. */
const ACCOUNT = { RELAIS_S3_ACCESS_KEY_ID: 'S3RVER', RELAIS_S3_SECRET_ACCESS_KEY: 'S3RVER' };
const BUCKET = 'pictures';
const folder = mkdtempSync(path.join(tmpdir(), 'relais-s3-'));
let store;
let server;

before(async () => {
  const port = await freePort();
  const args = [S3RVER, '--directory', folder, '--address', '127.0.0.1', '--port', String(port), '--configure-bucket', BUCKET];
  store = await new Program(process.execPath, args, { env: {}, ready: `http://127.0.0.1:${port}/` }).start();
  server = await relais(process.env.RELAIS_BIN, {
    ...ACCOUNT,
    RELAIS_APP: 'studio',
    RELAIS_FILES_URL: `s3://${BUCKET}/some/where`,
    RELAIS_S3_ENDPOINT: `http://127.0.0.1:${port}`,
    RELAIS_FILE_SWEEP_SECONDS: '1',
    STUDIO_ENGINE: 'none',
  });
});
after(async () => {
  await server.remove();
  await store.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** The keys of what the bucket holds. */
function keys() {
  const all = readdirSync(path.join(folder, BUCKET), { recursive: true });
  return all.filter((name) => name.endsWith('._S3rver_object')).map((name) => name.replace('._S3rver_object', ''));
}

async function uploaded(scene, alice, bytes) {
  const task = await scene.task(alice);
  const { status, json } = await scene.upload(task, bytes);
  assert.equal(status, 201, JSON.stringify(json));
  return { task, file: json };
}

test('a picture lies in the bucket below its prefix, comes back byte for byte and in parts, and its address alone opens it', async (t) => {
  const scene = new Scene(t, server);
  // The second is too large for one request to the store.
  for (const bytes of [png(40, 30), Buffer.concat([png(), Buffer.alloc(12 * 1024 * 1024, 7)])]) {
    const { task, file } = await uploaded(scene, { sub: unique('alice') }, bytes);
    const place = new RegExp(`^some/where/files/[0-9a-f]{16}/studio/default/task/.*${task.taskId}`);
    assert.ok(keys().some((key) => place.test(key)), `${keys()}`);
    assert.equal(new URL(file.s3Url).origin, new URL(server.url).origin);
    const answer = await fetch(file.s3Url);
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/png']);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes));
    const part = await fetch(file.s3Url, { headers: { range: 'bytes=2-5' } });
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 2-5/${bytes.length}`]);
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(2, 6)));
    assert.equal((await fetch(file.s3Url.replace(/signature=./, 'signature=x'))).status, 403);
    assert.equal((await fetch(file.s3Url.replace(/\?.*/, ''))).status, 403);
  }
});

test('a smaller picture is made once and kept in the bucket', async (t) => {
  const scene = new Scene(t, server);
  const { task, file } = await uploaded(scene, { sub: unique('alice') }, png(600, 300));
  const small = await fetch(`${file.s3Url}&thumb=128`);
  assert.deepEqual([small.status, small.headers.get('content-type')], [200, 'image/jpeg']);
  const bytes = Buffer.from(await small.arrayBuffer());
  await eventually('it is kept', () => keys().some((key) => key.startsWith('some/where/thumbnails/') && key.includes(task.taskId)));
  assert.ok(Buffer.from(await (await fetch(`${file.s3Url}&thumb=128`)).arrayBuffer()).equals(bytes));
});

test('what is no picture never gets there', async (t) => {
  const scene = new Scene(t, server);
  const task = await scene.task({ sub: unique('alice') });
  const { status, json } = await scene.upload(task, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'));
  assert.deepEqual([status, json.code], [400, 'INVALID_PAYLOAD']);
  assert.ok(!keys().some((key) => key.includes(task.taskId)));
});

test('files and smaller pictures go with their task, and those of others stay', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const [gone, kept] = [await uploaded(scene, alice), await uploaded(scene, alice)];
  await fetch(`${gone.file.s3Url}&thumb=256`);
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${gone.task.taskId}`)).status, 200);
  assert.equal((await fetch(gone.file.s3Url)).status, 404);
  await eventually('nothing of it is left', () => !keys().some((key) => key.includes(gone.task.taskId)));
  assert.equal((await fetch(kept.file.s3Url)).status, 200);
});

test('what belongs to nothing is swept from the bucket, and what a task shows stays', async (t) => {
  const scene = new Scene(t, server);
  const { task, file } = await uploaded(scene, { sub: unique('alice') });
  const key = keys().find((one) => one.includes(task.taskId));
  const lost = key.replace(task.taskId, 'no-such-task');
  for (const kind of ['object', 'metadata.json', 'object.md5']) {
    const from = path.join(folder, BUCKET, `${key}._S3rver_${kind}`);
    const to = path.join(folder, BUCKET, `${lost}._S3rver_${kind}`);
    if (existsSync(from)) cpSync(from, to);
    for (const one of [from, to]) if (existsSync(one)) utimesSync(one, 1, 1);
  }
  assert.ok(keys().includes(lost));
  await eventually('the orphan is gone', () => !keys().includes(lost), 20000);
  assert.ok(keys().includes(key));
  assert.equal((await fetch(file.s3Url)).status, 200);
});

test('an account that the store does not know is told so at the upload, and nothing is shown', async (t) => {
  const { RELAIS_FILES_URL, RELAIS_S3_ENDPOINT } = server.program.env;
  const wrong = { RELAIS_FILES_URL, RELAIS_S3_ENDPOINT, ...ACCOUNT, RELAIS_S3_ACCESS_KEY_ID: 'nobody' };
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none', ...wrong });
  t.after(() => own.remove());
  const scene = new Scene(t, own);
  const alice = { sub: unique('alice') };
  const task = await scene.task(alice);
  const { status, json } = await scene.upload(task);
  assert.deepEqual([status, json.code], [503, 'UNAVAILABLE']);
  assert.deepEqual((await scene.get(alice, task)).json.files ?? [], []);
});
