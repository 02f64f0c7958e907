//! How a page's connection ends, as its page tells it apart: 1008 is final, 1011 and 1006 are tried again.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { relais } from '../lib/servers.mjs';
import { Scene, unique } from './scene.mjs';

async function own(t) {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'studio', STUDIO_ENGINE: 'none' });
  t.after(() => server.remove());
  return [server, new Scene(t, server)];
}

test('1008: a token that is refused, whatever is wrong with it, with the code as the reason', async (t) => {
  const [, scene] = await own(t);
  const now = Math.floor(Date.now() / 1000);
  for (const [token, reason] of [
    [undefined, 'TOKEN_MISSING'],
    ['rubbish', 'TOKEN_INVALID'],
    [scene.token({ sub: 'alice' }, 'another secret that is long enough for a key'), 'TOKEN_INVALID'],
    [scene.token({ name: 'nobody' }), 'TOKEN_INVALID'],
    [scene.token({ sub: 'alice', exp: now - 60 }), 'TOKEN_EXPIRED'],
  ]) {
    assert.deepEqual(await scene.open('/ws', { token }).end(), { code: 1008, reason });
  }
  // Revoked while it is open.
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  assert.equal((await scene.ask('key', 'PUT', `/v1/users/${alice.sub}/revocation`)).status, 200);
  assert.deepEqual(await page.end(), { code: 1008, reason: 'TOKEN_INVALID' });
  assert.deepEqual(await scene.open('/ws', { token: page.token }).end(), { code: 1008, reason: 'TOKEN_INVALID' });
});

test('1006: a server that is killed says nothing, and the page goes on where it was once it is back', async (t) => {
  const [server, scene] = await own(t);
  const alice = { sub: unique('alice') };
  const page = await scene.live(alice);
  const task = await scene.task(alice);
  await page.frame('task.updated', (data) => data.taskId === task.taskId);
  await server.program.kill();
  assert.deepEqual(await page.end(), { code: 1006, reason: '' });
  await server.program.start();
  const again = await scene.back(page);
  assert.equal(again.hello.resumed, true);
  await scene.patch(task, { status: 'EXECUTING' });
  assert.equal((await again.next('task.updated')).status, 'EXECUTING');
});

test('1011: what the server kept is broken, and it says that the fault is its own', async (t) => {
  const [server, scene] = await own(t);
  const alice = { sub: unique('alice') };
  assert.equal((await scene.ask('key', 'PUT', `/v1/users/${alice.sub}/mute`, { body: {} })).status, 200);
  await server.program.stop();
  // A byte in the database turns over: the mute can no longer be read.
  const file = path.join(server.data, readdirSync(server.data).find((name) => name.endsWith('.db')));
  const bytes = readFileSync(file);
  let broken = 0;
  for (let at = bytes.indexOf('"Muted"'); at >= 0; at = bytes.indexOf('"Muted"', at + 1)) {
    bytes.write('"Mxted"', at, 'latin1');
    broken += 1;
  }
  assert.ok(broken > 0, 'the mute is in the file');
  writeFileSync(file, bytes);
  await server.program.start();
  assert.deepEqual(await scene.open('/ws', { token: scene.token({ sub: 'bob' }) }).end(), { code: 1011, reason: 'INTERNAL' });
  assert.equal((await scene.ask({ sub: 'bob' }, 'GET', '/tasks')).status, 500);
});
