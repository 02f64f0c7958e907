//! Tasks that a ComfyUI makes: progress, pictures, failures, a ComfyUI that goes away and comes back, tasks that nobody wants any more.

import test, { after, before, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Comfy } from '../lib/comfy.mjs';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { ORDER, Scene, png, unique } from './scene.mjs';

const APP = fileURLToPath(new URL('../../apps/studio.toml', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'relais-comfyui-'));
/** The app with leases that a test can wait for. */
writeFileSync(path.join(folder, 'studio.toml'), readFileSync(APP, 'utf8').replace('lease = "60s"', 'lease = "3s"'));
/** A workflow that makes one picture at a time. */
const workflow = path.join(folder, 'workflow.json');
writeFileSync(workflow, JSON.stringify({
  3: { class_type: 'KSampler', inputs: { text: 'oil, {{prompt}}', seed: '{{seed}}' } },
  9: { class_type: 'SaveImage', inputs: { images: ['3', 0] } },
}));

let comfy;
let server;
before(async () => {
  comfy = await new Comfy(await freePort(), (width, height) => png(width, height)).start();
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', RELAIS_APPS_DIR: folder, COMFYUI_URL: comfy.url });
});
beforeEach(() => {
  comfy.script = {};
});
after(async () => {
  await server.remove();
  await comfy.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function begun(t, wish, on = server) {
  const scene = new Scene(t, on);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice, wish);
  const told = () => page.all('task.updated').map((frame) => frame.data).filter((data) => data.taskId === task.taskId);
  return { scene, alice, page, task, told };
}

const held = (id) => eventually('the prompt is at work', () => comfy.running && comfy.running.id !== id && comfy.running);

test('a task becomes pictures of its words, size, number and seed, with progress and the ids of ComfyUI on the way', async (t) => {
  comfy.script = { steps: 60, pause: 30 };
  const { page, task, told } = await begun(t, { prompt: 'a lake, "{{seed}}"', negativePrompt: 'people', width: 96, height: 64, count: 2, seed: 7 });
  const done = await page.next('task.files.uploaded', (data) => data.taskId === task.taskId, 20000);
  const [{ graph, id, client }] = comfy.prompts.slice(-1);
  assert.deepEqual([done.promptId, done.comfyClientId], [id, client]);
  assert.deepEqual([graph.wanted.inputs.text, graph.unwanted.inputs.text, graph.sampler.inputs.seed], ['a lake, "{{seed}}"', 'people', 7]);
  assert.deepEqual(graph.empty.inputs, { width: 96, height: 64, batch_size: 2 });
  assert.deepEqual(done.files.map((file) => file.filename), ['picture_00001_.png', 'picture_00002_.png']);
  for (const file of done.files) {
    const picture = Buffer.from(await (await fetch(file.s3Url)).arrayBuffer());
    assert.deepEqual([picture.readUInt32BE(16), picture.readUInt32BE(20)], [96, 64]);
  }
  const steps = told().map((data) => ORDER.indexOf(data.status));
  assert.deepEqual(steps, steps.toSorted((a, b) => a - b), 'only forward');
  assert.deepEqual([...new Set(steps)], [0, 1, 2, 3]);
  const progress = told().map((data) => data.progress ?? 0);
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
  assert.equal(progress.at(-1), 100);
  assert.ok(progress.some((share) => share > 0 && share < 100), `${progress}`);
  assert.ok(progress.length < 40, `throttled: ${progress}`);
});

test('a workflow of the operator that makes one picture is executed once for each, with a seed of its own', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', COMFYUI_URL: comfy.url, COMFYUI_WORKFLOW: workflow });
  t.after(() => own.remove());
  const from = comfy.prompts.length;
  const { scene, alice, task } = await begun(t, { prompt: 'a lake', count: 2, seed: 7 }, own);
  const done = await scene.reached(alice, task, 'SUCCESS');
  assert.equal(done.files.length, 2);
  const orders = comfy.prompts.slice(from).map((prompt) => prompt.graph[3].inputs);
  assert.deepEqual(orders.map((order) => order.text), ['oil, a lake', 'oil, a lake']);
  assert.equal(new Set(orders.map((order) => order.seed)).size, 2);
});

test('what fails in ComfyUI fails with its words', async (t) => {
  comfy.script = { error: 'CUDA out of memory' };
  const { scene, alice, task } = await begun(t);
  const failed = await scene.reached(alice, task, 'FAILED');
  assert.equal(failed.error, 'CUDA out of memory (KSampler)');
  assert.equal(failed.promptId, comfy.prompts.at(-1).id);
});

test('a prompt that ComfyUI refuses fails with the input that is wrong', async (t) => {
  comfy.script = { refuse: {
    error: { type: 'prompt_outputs_failed_validation', message: 'Prompt outputs failed validation', details: '', extra_info: {} },
    node_errors: { model: { errors: [{ type: 'value_not_in_list', message: 'Value not in list', details: "ckpt_name: 'x' not in []" }], dependent_outputs: ['file'], class_type: 'CheckpointLoaderSimple' } },
  } };
  const { scene, alice, task } = await begun(t);
  const failed = await scene.reached(alice, task, 'FAILED');
  assert.equal(failed.error, "Prompt outputs failed validation; Value not in list: ckpt_name: 'x' not in []");
});

test('what ComfyUI gives is looked at as an upload is: no picture, no file', async (t) => {
  comfy.script = { bytes: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>') };
  const { scene, alice, task } = await begun(t);
  const failed = await scene.reached(alice, task, 'FAILED');
  assert.match(failed.error, /no PNG, JPEG, WebP or GIF/);
  assert.equal(failed.files?.length ?? 0, 0);
});

test('a WebSocket that is lost is opened again, and what ended meanwhile is found in the history', async (t) => {
  comfy.script = { hold: 2 };
  const { scene, alice, task } = await begun(t);
  const { id } = await held();
  await scene.reached(alice, task, 'EXECUTING');
  const sockets = comfy.sockets;
  comfy.drop();
  comfy.script.go = true;
  const done = await scene.reached(alice, task, 'SUCCESS');
  assert.equal(done.promptId, id);
  assert.ok(comfy.sockets > sockets);
});

test('a ComfyUI that is killed and comes back has forgotten the prompt, and is told again', async (t) => {
  comfy.script = { hold: 3 };
  const { scene, alice, task, told } = await begun(t);
  const first = await held();
  await scene.reached(alice, task, 'EXECUTING');
  await comfy.kill();
  comfy.script = {};
  await comfy.start();
  const done = await scene.reached(alice, task, 'SUCCESS');
  assert.notEqual(done.promptId, first.id);
  assert.equal(done.promptId, comfy.prompts.at(-1).id);
  const progress = told().map((data) => data.progress ?? 0);
  assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
});

test('a task that is deleted is taken from ComfyUI, whether it is executed or waits', async (t) => {
  comfy.script = { hold: 1 };
  const { scene, alice, task } = await begun(t);
  const { id } = await held();
  const waiting = await scene.task(alice);
  const queued = await eventually('the next one waits', () => comfy.queue[0]);
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${waiting.taskId}`)).status, 200);
  await eventually('it is taken from the queue', () => comfy.deleted.includes(queued.id) && comfy.queue.length === 0);
  assert.deepEqual(comfy.interrupted, [], 'what is executed is not its');
  assert.equal((await scene.ask(alice, 'DELETE', `/tasks/${task.taskId}`)).status, 200);
  await eventually('it is interrupted', () => comfy.interrupted.includes(id));
  comfy.script = {};
  await scene.reached(alice, await scene.task(alice), 'SUCCESS');
});

test('a server that is killed in the middle takes the task again', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', RELAIS_APPS_DIR: folder, COMFYUI_URL: comfy.url });
  t.after(() => own.remove());
  const script = (comfy.script = { hold: 1 });
  const { scene, alice, task } = await begun(t, { count: 2 }, own);
  const { id } = await held();
  await scene.reached(alice, task, 'EXECUTING');
  await own.program.kill();
  comfy.script = {};
  script.go = true;
  await own.program.start();
  const done = await scene.reached(alice, task, 'SUCCESS');
  assert.notEqual(done.promptId, id);
  assert.equal(done.files.length, 2);
});

test('a ComfyUI that never answers fails the task in time', async (t) => {
  const settings = { RELAIS_APP: 'studio', COMFYUI_URL: `http://127.0.0.1:${await freePort()}`, RELAIS_COMFYUI_TIMEOUT_SECONDS: '1' };
  const own = await relais(process.env.RELAIS_BIN, settings);
  t.after(() => own.remove());
  const { scene, alice, task } = await begun(t, {}, own);
  assert.equal((await scene.reached(alice, task, 'FAILED')).error, 'ComfyUI did not end in 1 seconds');
});
