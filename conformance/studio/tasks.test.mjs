//! Tasks over HTTP and their events, with a worker from outside: who sees what, statuses that go only forward, and each refusal.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { relais } from '../lib/servers.mjs';
import { Scene, unique } from './scene.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none' });
});
after(() => server.remove());

/** What is left by other tests is taken, so that the next claim is this test's task. */
async function claimed(scene, task) {
  for (;;) {
    const { status, json } = await scene.claim();
    assert.equal(status, 200);
    if (json.taskId === task.taskId) return json;
  }
}

test('a task goes from its form to its files: every status once, forward, and the files once, with all of them', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const [page, phone] = [await scene.live(alice), await scene.live(alice)];
  const stranger = await scene.live({ sub: unique('bob') });
  const task = await scene.task(alice, { prompt: 'sunset', negativePrompt: 'people', width: 640, height: 480, count: 2, seed: 7 });
  assert.match(task.taskId, /^[0-9a-f-]{36}$/);
  assert.match(task.createdAt, /Z$/);
  const { taskId, createdAt, ...rest } = task;
  assert.deepEqual(rest, { status: 'PENDING', prompt: 'sunset', negativePrompt: 'people', width: 640, height: 480, count: 2, seed: 7, promptId: null, comfyClientId: null });
  const work = await claimed(scene, task);
  assert.equal(work.status, 'PROCESSING');
  assert.equal((await scene.patch(task, { status: 'EXECUTING', progress: 40 })).json.progress, 40);
  for (const name of ['one.png', 'two.png']) assert.equal((await scene.upload(task, undefined, { name })).status, 201);
  assert.equal((await scene.patch(task, { status: 'SUCCESS', progress: 100 })).status, 200);
  for (const client of [page, phone]) {
    const files = await client.next('task.files.uploaded', (data) => data.taskId === taskId);
    assert.deepEqual(Object.keys(files).sort(), ['comfyClientId', 'files', 'promptId', 'status', 'taskId']);
    assert.equal(files.status, 'SUCCESS');
    assert.deepEqual(files.files.map((file) => [file.filename, file.fileType]), [['one.png', 'images'], ['two.png', 'images']]);
    for (const file of files.files) assert.equal((await fetch(file.s3Url)).status, 200);
    await client.ok('ping', {}).catch(() => {});
    const updates = client.all('task.updated').map((frame) => frame.data).filter((data) => data.taskId === taskId);
    assert.deepEqual(updates.map((data) => data.status), ['PENDING', 'PROCESSING', 'EXECUTING', 'SUCCESS']);
    assert.equal(updates.at(-1).files.length, 2);
    assert.equal(client.all('task.files.uploaded').length, 1);
  }
  assert.deepEqual(stranger.all('task.updated'), []);
  const { json } = await scene.get(alice, task);
  assert.equal(json.files.length, 2);
  assert.match(json.files[0].s3Url, /^http:\/\/127\.0\.0\.1:\d+\/files\//);
});

test('statuses go only forward, and a final one is final', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const task = await scene.task(alice);
  await claimed(scene, task);
  assert.equal((await scene.patch(task, { status: 'EXECUTING' })).status, 200);
  for (const status of ['PENDING', 'PROCESSING']) {
    const { status: http, json } = await scene.patch(task, { status });
    assert.deepEqual([http, json.code], [409, 'INVALID_STATE'], status);
  }
  assert.equal((await scene.patch(task, { status: 'EXECUTING', progress: 50 })).status, 200, 'the same status renews');
  assert.equal((await scene.patch(task, { status: 'FAILED', error: 'no memory' })).status, 200);
  for (const status of ['SUCCESS', 'EXECUTING']) assert.equal((await scene.patch(task, { status })).json.code, 'INVALID_STATE');
  assert.equal((await scene.upload(task)).json.code, 'INVALID_STATE');
  const { json } = await scene.get(alice, task);
  assert.deepEqual([json.status, json.error], ['FAILED', 'no memory']);
});

test('a task is its owner\'s alone: to everybody else it is not there', async (t) => {
  const scene = new Scene(t, server);
  const [alice, bob] = [{ sub: unique('alice') }, { sub: unique('bob') }];
  const task = await scene.task(alice);
  assert.equal((await scene.get(alice, task)).status, 200);
  for (const method of ['GET', 'DELETE']) {
    const { status, json } = await scene.ask(bob, method, `/tasks/${task.taskId}`);
    assert.deepEqual([status, json.code], [404, 'NOT_FOUND'], method);
  }
  assert.deepEqual((await scene.ask(bob, 'GET', '/tasks')).json, { tasks: [], hasMore: false });
  for (const [method, path] of [['PATCH', `/tasks/${task.taskId}`], ['POST', '/tasks/claim'], ['POST', `/tasks/${task.taskId}/files`]]) {
    const { status, json } = await scene.ask(alice, method, path, { body: { status: 'SUCCESS' } });
    assert.deepEqual([status, json.code], [403, 'FORBIDDEN'], `${method} ${path}`);
  }
  assert.equal((await scene.ask(undefined, 'GET', '/tasks')).json.code, 'TOKEN_MISSING');
  assert.equal((await scene.ask('a.b.c', 'GET', '/tasks')).json.code, 'TOKEN_INVALID');
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${task.taskId}`)).status, 200);
  assert.equal((await scene.get(alice, task)).status, 404);
  assert.equal((await scene.patch(task, { status: 'SUCCESS' })).json.code, 'NOT_FOUND');
});

test('pages are newest first, in order, by status, and end', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const tasks = [];
  for (let n = 0; n < 5; n += 1) tasks.unshift((await scene.task(alice, { prompt: `picture ${n}` })).taskId);
  await scene.patch({ taskId: tasks[4] }, { status: 'FAILED' });
  const page = async (query) => {
    const { json } = await scene.ask(alice, 'GET', `/tasks?${query}`);
    return [json.tasks.map((task) => task.taskId), json.hasMore];
  };
  assert.deepEqual(await page(''), [tasks, false]);
  assert.deepEqual(await page('limit=2'), [tasks.slice(0, 2), true]);
  assert.deepEqual(await page(`limit=2&before=${tasks[1]}`), [tasks.slice(2, 4), true]);
  assert.deepEqual(await page(`limit=2&before=${tasks[3]}`), [tasks.slice(4), false]);
  assert.deepEqual(await page('status=FAILED'), [[tasks[4]], false]);
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'status=DONE']) {
    assert.equal((await scene.ask(alice, 'GET', `/tasks?${query}`)).json.code, 'INVALID_PAYLOAD', query);
  }
});

test('what a form gets wrong is said with the field, and nothing is made', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const good = { prompt: 'a lake' };
  const bad = [
    [{}, 'prompt'], [{ prompt: '' }, 'prompt'], [{ prompt: 'x'.repeat(4001) }, 'prompt'], [{ prompt: 7 }, 'prompt'],
    [{ ...good, width: 63 }, 'width'], [{ ...good, width: 2049 }, 'width'], [{ ...good, height: '512' }, 'height'],
    [{ ...good, width: 64.5 }, 'width'], [{ ...good, count: 0 }, 'count'], [{ ...good, count: 9 }, 'count'],
    [{ ...good, seed: -1 }, 'seed'], [{ ...good, seed: 2 ** 53 }, 'seed'], [{ ...good, negativePrompt: 7 }, 'negativePrompt'],
  ];
  for (const [body, field] of bad) {
    const { status, json } = await scene.ask(alice, 'POST', '/tasks', { body });
    assert.deepEqual([status, json.code], [400, 'INVALID_PAYLOAD'], JSON.stringify(body).slice(0, 60));
    assert.match(json.detail, new RegExp(field));
  }
  for (const body of ['{', '[]', '"x"', 'null']) assert.equal((await scene.ask(alice, 'POST', '/tasks', { body })).json.code, 'INVALID_PAYLOAD', body);
  const tall = await scene.ask(alice, 'POST', '/tasks', { body: { prompt: 'x', padding: 'y'.repeat(300_000) } });
  assert.deepEqual([tall.status, tall.json.code], [413, 'TOO_LARGE']);
  assert.deepEqual((await scene.ask(alice, 'GET', '/tasks')).json.tasks, []);
  const made = await scene.task(alice, { width: undefined, height: undefined, taskId: 'mine', status: 'SUCCESS', files: [{}] });
  assert.deepEqual([made.width, made.height, made.count, made.status, made.files ?? []], [512, 512, 1, 'PENDING', []], 'defaults; unknown fields are ignored');
  assert.notEqual(made.taskId, 'mine');
  for (const body of [{ status: 'DONE' }, { status: 'EXECUTING', progress: 101 }, { status: 'EXECUTING', progress: 'x' }, { status: 'FAILED', error: 7 }, {}]) {
    assert.equal((await scene.patch(made, body)).json.code, 'INVALID_PAYLOAD', JSON.stringify(body));
  }
});

test('two users and two apps never see each other\'s tasks or events', async (t) => {
  const scene = new Scene(t, server);
  const sub = unique('alice');
  const live = await scene.live({ sub });
  const other = await scene.live({ sub: unique('bob') });
  const task = await scene.task({ sub });
  await live.next('task.updated', (data) => data.taskId === task.taskId);
  assert.equal((await scene.ask(scene.token({ sub, app: 'bam' }), 'GET', `/tasks/${task.taskId}`)).json.code, 'TOKEN_INVALID');
  assert.equal((await scene.ask({ sub }, 'GET', `/studio/tasks/${task.taskId}`)).status, 200, 'under its own name too');
  assert.equal((await scene.ask({ sub }, 'GET', `/bam/tasks/${task.taskId}`)).status, 404);
  assert.deepEqual(other.all('task.updated'), []);
});

test('nothing to claim is 404, and of several workers each gets its own task', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  for (;;) if ((await scene.claim()).status !== 200) break;
  const nothing = await scene.claim();
  assert.deepEqual([nothing.status, nothing.json.code], [404, 'NOT_FOUND']);
  const tasks = new Set();
  for (let n = 0; n < 24; n += 1) tasks.add((await scene.task(alice)).taskId);
  const claims = await Promise.all(Array.from({ length: 24 }, () => scene.claim()));
  assert.deepEqual(new Set(claims.map(({ json }) => json.taskId)), tasks);
  assert.equal((await scene.claim()).status, 404);
});

test('the page is told why it is sent away, and finds what it missed when it comes back', async (t) => {
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const refused = scene.open('/ws', { token: 'rubbish' });
  assert.deepEqual(await refused.end(), { code: 1008, reason: 'TOKEN_INVALID' });
  const page = await scene.live(alice);
  assert.deepEqual([page.hello.userId, page.hello.userName, page.hello.resumed], [alice.sub, alice.sub, false]);
  const first = await scene.task(alice);
  await page.frame('task.updated', (data) => data.taskId === first.taskId);
  page.socket.terminate();
  await page.closed;
  await scene.patch(first, { status: 'EXECUTING', progress: 10 });
  const again = await scene.back(page);
  assert.equal(again.hello.resumed, true);
  const missed = await again.next('task.updated', (data) => data.taskId === first.taskId);
  assert.equal(missed.status, 'EXECUTING');
  const lost = await scene.enter('/ws', alice, { query: { resume: randomUUID(), after: 1 } });
  assert.equal(lost.hello.resumed, false);
});
