//! Files of tasks: what is taken, what is refused before the task is even looked at, their signed addresses, and what is left when a
//! server is killed or a task deleted.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { Scene, png, unique } from './scene.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none', RELAIS_FILE_SWEEP_SECONDS: '2' });
});
after(() => server.remove());

/** All files below a folder. */
function below(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((name) => {
    const at = path.join(folder, name);
    return statSync(at).isDirectory() ? below(at) : [at];
  });
}

async function uploaded(scene, alice, bytes) {
  const task = await scene.task(alice);
  const { status, json } = await scene.upload(task, bytes);
  assert.equal(status, 201);
  return { task, file: json };
}

test('a picture comes back byte for byte, under the type that it has, for its owner\'s page and nobody\'s cache', async (t) => {
  const scene = new Scene(t, server);
  const bytes = png(40, 30);
  const { file } = await uploaded(scene, { sub: unique('alice') }, bytes);
  assert.deepEqual([file.filename, file.fileType], ['image.png', 'images']);
  const answer = await fetch(file.s3Url);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
  const headers = Object.fromEntries(answer.headers);
  assert.equal(headers['content-type'], 'image/png');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['content-disposition'], "inline; filename*=UTF-8''image.png");
  assert.match(headers['cache-control'], /^private, max-age=\d+, immutable$/);
  assert.equal(headers['content-length'], String(bytes.length));
  assert.equal(headers['content-security-policy'], "default-src 'none'; sandbox");
  assert.equal((await fetch(file.s3Url, { headers: { 'if-none-match': headers.etag } })).status, 304);
  const part = await fetch(file.s3Url, { headers: { range: 'bytes=2-5' } });
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 2-5/${bytes.length}`]);
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(2, 6));
  for (const range of ['bytes=99999-', 'bytes=99999-100000']) {
    const beyond = await fetch(file.s3Url, { headers: { range } });
    assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, `bytes */${bytes.length}`]);
  }
  assert.doesNotMatch(server.program.output, /ERROR/, 'what a client asks for is no failure of ours');
  assert.equal((await fetch(file.s3Url, { method: 'HEAD' })).headers.get('content-length'), String(bytes.length));
});

test('an address is good for its file and its time, and for nothing else', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const [one, two] = [await uploaded(scene, alice), await uploaded(scene, alice)];
  const url = new URL(one.file.s3Url);
  const other = new URL(url);
  other.pathname = new URL(two.file.s3Url).pathname;
  const later = new URL(url);
  later.searchParams.set('expires', String(Number(url.searchParams.get('expires')) + 1));
  const renamed = new URL(url);
  renamed.searchParams.set('name', 'other.png');
  for (const wrong of [other, later, renamed, `${url.origin}${url.pathname}`, `${url.origin}/files/../relais.db`]) {
    const answer = await fetch(wrong);
    assert.ok([403, 404].includes(answer.status), `${wrong}`);
  }
  assert.equal((await fetch(`${url.origin}/files/studio/default/task/-/${one.task.taskId}/x.png`)).status, 403);
});

test('smaller pictures are made once, fit, and are refused in any other size', async (t) => {
  const scene = new Scene(t, server);
  const { file } = await uploaded(scene, { sub: unique('alice') }, png(600, 300));
  const small = await fetch(`${file.s3Url}&thumb=128`);
  assert.deepEqual([small.status, small.headers.get('content-type')], [200, 'image/jpeg']);
  const bytes = Buffer.from(await small.arrayBuffer());
  assert.ok(bytes.length < 3000 && bytes[0] === 0xff && bytes[1] === 0xd8);
  const again = await fetch(`${file.s3Url}&thumb=128`);
  assert.deepEqual(Buffer.from(await again.arrayBuffer()), bytes);
  for (const size of ['127', '0', 'x', '']) assert.equal((await fetch(`${file.s3Url}&thumb=${size}`)).status, 400);
});

test('a file is what its content is, and what is no picture, too large or broken is refused before the task is looked at', async (t) => {
  const scene = new Scene(t, server);
  const task = await scene.task({ sub: unique('alice') });
  const missing = { taskId: '0198c2f2-0000-7000-8000-000000000000' };
  const named = (await scene.upload(task, png(), { name: '../../x.html', type: 'text/html' })).json;
  assert.equal(named.filename, 'x.html.png');
  assert.equal((await fetch(named.s3Url)).headers.get('content-type'), 'image/png');
  const refused = async (answer, status, code) => {
    const { status: found, json } = await answer;
    assert.deepEqual([found, json.code], [status, code]);
  };
  const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>');
  for (const where of [task, missing]) {
    await refused(scene.upload(where, svg), 400, 'INVALID_PAYLOAD');
    await refused(scene.upload(where, Buffer.from('BM6')), 400, 'INVALID_PAYLOAD');
    await refused(scene.upload(where, png().subarray(0, 20)), 400, 'INVALID_PAYLOAD');
    await refused(scene.upload(where, Buffer.alloc(0)), 400, 'INVALID_PAYLOAD');
    await refused(scene.upload(where, png(8, 8, [8001, 8000])), 413, 'TOO_LARGE');
    await refused(scene.upload(where, Buffer.concat([png(), Buffer.alloc(20 * 1024 * 1024)])), 413, 'TOO_LARGE');
    await refused(scene.upload(where, png(), { field: 'picture' }), 400, 'INVALID_PAYLOAD');
    await refused(scene.ask('key', 'POST', `/tasks/${where.taskId}/files`, { body: {} }), 400, 'INVALID_PAYLOAD');
    const broken = { form: '--x\r\nnonsense', headers: { 'content-type': 'multipart/form-data; boundary=x' } };
    await refused(scene.ask('key', 'POST', `/tasks/${where.taskId}/files`, broken), 400, 'INVALID_PAYLOAD');
  }
  await refused(scene.upload(missing), 404, 'NOT_FOUND');
  await eventually('nothing of what was refused is stored', () => {
    const stored = below(path.join(server.data, 'files')).filter((file) => file.includes(missing.taskId));
    return stored.length === 0 && below(path.join(server.data, 'incoming')).length === 0;
  });
  const most = Buffer.concat([png(), Buffer.alloc(20 * 1024 * 1024 - png().length)]);
  assert.equal((await scene.upload(task, most)).status, 201, 'as large as may be');
});

test('files go with their task', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const { task, file } = await uploaded(scene, alice);
  const kept = await uploaded(scene, alice);
  await fetch(`${file.s3Url}&thumb=256`);
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${task.taskId}`)).status, 200);
  assert.equal((await fetch(file.s3Url)).status, 404);
  assert.deepEqual(below(server.data).filter((one) => one.includes(task.taskId)), []);
  assert.equal((await fetch(kept.file.s3Url)).status, 200);
});

test('what belongs to nothing is swept, and what an item shows or nobody understands stays', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const { task, file } = await uploaded(scene, alice);
  const [store] = readdirSync(path.join(server.data, 'files', 'files'));
  const files = path.join(server.data, 'files', 'files', store, 'studio', 'default', 'task', '-');
  const place = (...names) => {
    const at = path.join(files, ...names);
    mkdirSync(path.dirname(at), { recursive: true });
    writeFileSync(at, png());
    utimesSync(at, 1, 1);
    return at;
  };
  const gone = [place('no-such-task', 'a.png'), place(task.taskId, 'never-shown.png')];
  const others = path.join('..', '..', '..', '..', '..', 'ffffffffffffffff');
  const kept = [place('~0123456789abcdef', 'a.png'), place(others, 'studio', 'default', 'task', '-', 'no-such-task', 'a.png')];
  const shown = below(path.join(files, task.taskId)).filter((one) => !gone.includes(one));
  assert.equal(shown.length, 1);
  utimesSync(shown[0], 1, 1);
  await eventually('orphans are gone', () => gone.every((one) => !existsSync(one)), 20000);
  for (const one of [...kept, ...shown]) assert.ok(existsSync(one), one);
  assert.equal((await fetch(file.s3Url)).status, 200);
});

test('a server that is killed during an upload shows nothing of it, and clears it away', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none' });
  t.after(() => own.remove());
  const scene = new Scene(t, own);
  const alice = { sub: unique('alice') };
  const task = await scene.task(alice);
  const { port } = new URL(own.url);
  const socket = net.connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  const head = [
    `POST /tasks/${task.taskId}/files HTTP/1.1`, 'host: here', `authorization: Bearer ${own.secrets.API_KEY}`,
    'content-type: multipart/form-data; boundary=x', 'content-length: 1000000', '', '--x', 'content-disposition: form-data; name="file"; filename="a.png"', '', '',
  ];
  socket.write(head.join('\r\n'));
  socket.write(Buffer.concat([png(), Buffer.alloc(300_000)]));
  const incoming = path.join(own.data, 'incoming');
  await eventually('the upload is under way', () => below(incoming).some((file) => statSync(file).size > 200_000));
  await own.program.kill();
  socket.destroy();
  await own.program.start();
  assert.deepEqual((await scene.get(alice, task)).json.files ?? [], []);
  assert.deepEqual([below(incoming), below(path.join(own.data, 'files'))], [[], []]);
  assert.equal((await scene.upload(task)).status, 201);
});
