//! kill -9 while forms are sent and pictures delivered: what was acknowledged is there afterwards, once, and moved only forward.

import test from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually, pause } from '../lib/wait.mjs';
import { ORDER, Scene, png, unique } from './scene.mjs';

const APP = fileURLToPath(new URL('../../apps/studio.toml', import.meta.url));
const KILLS = 3;

test(`${KILLS} kills while tasks are made, claimed, moved and given their files`, { timeout: 120000 }, async (t) => {
  // The app with leases that a test can wait for.
  const apps = mkdtempSync(path.join(tmpdir(), 'relais-apps-'));
  writeFileSync(path.join(apps, 'studio.toml'), readFileSync(APP, 'utf8').replace('lease = "60s"', 'lease = "2s"'));
  const settings = { RELAIS_APP: 'studio', RELAIS_APPS_DIR: apps, STUDIO_ENGINE: 'none', WS_PORT: String(await freePort()) };
  const server = await relais(process.env.RELAIS_BIN, settings);
  t.after(async () => {
    await server.remove();
    rmSync(apps, { recursive: true, force: true });
  });
  const scene = new Scene(t, server);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const acked = { made: new Set(), files: new Map(), done: new Set() };
  let isBusy = true;
  // A request that was cut off is no acknowledgement.
  const flow = async (step) => {
    while (isBusy) await step().catch(() => pause(20));
  };
  const work = async () => {
    const { status, json } = await scene.claim();
    if (status !== 200) return pause(20);
    await scene.patch(json, { status: 'EXECUTING', progress: 10 });
    const upload = await scene.upload(json, png());
    if (upload.status === 201) acked.files.set(upload.json.id, json.taskId);
    const moved = await scene.patch(json, { status: 'SUCCESS', progress: 100 });
    if (moved.status === 200) acked.done.add(json.taskId);
    return undefined;
  };
  const flows = [flow(async () => acked.made.add((await scene.task(alice)).taskId)), flow(work), flow(work)];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await pause(150 + Math.random() * 400);
    await server.program.kill();
    await server.program.start();
  }
  await pause(200);
  isBusy = false;
  await Promise.all(flows);
  await page.end();

  const list = new Map();
  for (let more, before; more !== false; ) {
    const { json } = await scene.ask(alice, 'GET', `/tasks?limit=100${before ? `&before=${before}` : ''}`);
    json.tasks.forEach((task) => list.set(task.taskId, task));
    more = json.hasMore;
    before = json.tasks.at(-1)?.taskId;
  }
  assert.ok(acked.made.size > 0 && acked.done.size > 0, `${acked.made.size} made, ${acked.done.size} done`);
  for (const id of acked.made) assert.ok(list.has(id), `the task ${id}`);
  for (const id of acked.done) assert.equal(list.get(id).status, 'SUCCESS');
  for (const [id, taskId] of acked.files) assert.ok(list.get(taskId).files.some((file) => file.id === id), `the file ${id}`);
  for (const task of list.values()) for (const file of task.files ?? []) assert.equal((await fetch(file.s3Url)).status, 200);

  // The page comes back and is told the rest: forward only, and each end once.
  const back = await scene.back(page);
  assert.equal(back.hello.resumed, true);
  await eventually('all that is done was told', () => {
    const told = [...page.all('task.files.uploaded'), ...back.all('task.files.uploaded')].map(({ data }) => data.taskId);
    assert.equal(new Set(told).size, told.length, 'once each');
    return [...acked.done].every((id) => told.includes(id));
  });
  const steps = new Map();
  for (const { data } of [...page.all('task.updated'), ...back.all('task.updated')]) {
    const step = ORDER.indexOf(data.status);
    assert.ok(step >= (steps.get(data.taskId) ?? 0), `${data.taskId} goes back to ${data.status}`);
    steps.set(data.taskId, step);
  }
  // What a worker held when the server died is free again, and comes to its end.
  const open = [...list.values()].filter(({ status }) => status !== 'SUCCESS').map(({ taskId }) => taskId);
  t.diagnostic(`${KILLS} kills, ${acked.made.size} tasks, ${acked.files.size} files and ${acked.done.size} ends acknowledged, ${list.size} tasks kept, ${open.length} to be finished`);
  isBusy = true;
  const rest = flow(work);
  await eventually('nothing is left lying', async () => {
    const states = await Promise.all(open.map((taskId) => scene.get(alice, { taskId })));
    return states.every(({ json }) => ['SUCCESS', 'FAILED'].includes(json.status));
  }, 30000);
  isBusy = false;
  await rest;
});
