//! For how long and how often somebody may be at the studio's page, and that two tenants with the same users never meet.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { crowded, renewal } from '../lib/admission.mjs';
import { relais } from '../lib/servers.mjs';
import { Scene, png, unique } from './scene.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none' });
});
after(() => server.remove());

test('a token that ends is announced, renewed in place, or the end of the session', async (t) => {
  const scene = new Scene(t, server);
  await renewal({
    enter: (claims) => scene.live(claims),
    sign: (claims) => scene.token(claims),
    refused: async (client) => (await client.end(15000)).reason,
  });
});

test('more connections from one address than allowed are refused with 429, and those inside go on', async (t) => {
  const enter = (own, sub) => new Scene(t, own).live({ sub });
  const goOn = async (client) => client.refusal('UNKNOWN_EVENT', 'anything');
  await crowded(t, { app: 'studio', path: '/ws', enter, goOn });
});

test('a frame that is none, or an event that nobody declared, is an error, and the page goes on', async (t) => {
  const scene = new Scene(t, server);
  const page = await scene.live({ sub: unique('alice') });
  page.send('no json');
  assert.equal((await page.next('error')).code, 'INVALID_PAYLOAD');
  page.send({ type: 'task.updated', data: { status: 'SUCCESS' } });
  const { code, event } = await page.next('error');
  assert.deepEqual([code, event], ['UNKNOWN_EVENT', 'task.updated']);
  await page.refusal('UNKNOWN_EVENT', 'join', {});
});

test('two tenants with the same users never see each other\'s tasks, files or events, nor work on them', async (t) => {
  const scene = new Scene(t, server);
  const sub = unique('alice');
  const [north, south] = [unique('north'), unique('south')].map((tenant) => ({ sub, tenant }));
  const [one, two] = [await scene.live(north), await scene.live(south)];
  const task = await scene.task(north, { prompt: 'of the north' });
  await one.next('task.updated', ({ taskId }) => taskId === task.taskId);
  const worker = (who, method, path, body) => scene.ask('key', method, path, { body, headers: { 'relais-tenant': who.tenant } });

  for (const method of ['GET', 'DELETE']) assert.equal((await scene.ask(south, method, `/tasks/${task.taskId}`)).json.code, 'NOT_FOUND');
  assert.deepEqual((await scene.ask(south, 'GET', '/tasks')).json.tasks, []);
  assert.equal((await worker(south, 'POST', '/tasks/claim')).json.code, 'NOT_FOUND');
  assert.equal((await worker(south, 'PATCH', `/tasks/${task.taskId}`, { status: 'FAILED' })).json.code, 'NOT_FOUND');
  assert.equal((await scene.patch(task, { status: 'FAILED' })).json.code, 'NOT_FOUND', 'nor in the default one');

  assert.equal((await worker(north, 'POST', '/tasks/claim')).json.taskId, task.taskId);
  const form = new FormData();
  form.append('file', new Blob([png()]), 'a.png');
  const made = await scene.ask('key', 'POST', `/tasks/${task.taskId}/files`, { form, headers: { 'relais-tenant': north.tenant } });
  assert.equal(made.status, 201);
  assert.match(decodeURIComponent(made.json.s3Url), new RegExp(`/files/[0-9a-f]{16}/studio/${north.tenant}/`));
  await worker(north, 'PATCH', `/tasks/${task.taskId}`, { status: 'SUCCESS', progress: 100 });
  assert.equal((await one.next('task.files.uploaded')).taskId, task.taskId);

  const own = await scene.task(south, { prompt: 'of the south' });
  await two.next('task.updated', ({ taskId }) => taskId === own.taskId);
  assert.deepEqual(two.all('task.updated').map(({ data }) => data.taskId), [own.taskId]);
  assert.deepEqual(two.all('task.files.uploaded'), []);
  assert.deepEqual(one.all('task.updated').filter(({ data }) => data.taskId === own.taskId), []);
  // The session of one tenant is none of the other, for the same user.
  const stolen = await scene.enter('/ws', south, { query: { resume: one.hello.sessionId, after: 0 } });
  assert.equal(stolen.hello.resumed, false);
  await stolen.refusal('UNKNOWN_EVENT', 'anything');
  assert.deepEqual(stolen.all('task.updated'), []);
});

test('the metrics have the default keys', async (t) => {
  const scene = new Scene(t, server);
  assert.deepEqual(Object.keys((await scene.ask('key', 'GET', '/metrics')).json), ['totalConnections', 'activeConnections', 'messagesPerMinute', 'connectedUsers']);
});
