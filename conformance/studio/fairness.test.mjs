//! Houses that share one engine: who has little to be painted does not wait until all is done of who has much.

import test from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { Scene, unique } from './scene.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));

test('one house with many sketches does not hold up another one with one', async (t) => {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'album', STUDIO_ENGINE: 'embedded' });
  t.after(() => server.remove());
  const scene = new Scene(t, server);
  const sketch = async (who) => {
    const { status, json } = await scene.ask(who, 'POST', '/sketches', { body: { prompt: 'a lake', width: 512, height: 512 } });
    assert.equal(status, 202, JSON.stringify(json));
    return json.sketchId;
  };
  const statusOf = async (who, id) => (await scene.ask(who, 'GET', `/sketches/${id}`)).json.status;
  const [many, one] = [{ sub: 'ann', house: unique('a') }, { sub: 'bob', house: unique('b') }];
  const theirs = [];
  for (let turn = 0; turn < 40; turn += 1) theirs.push(await sketch(many));
  const his = await sketch(one);
  await eventually('his only sketch is done', async () => (await statusOf(one, his)) === 'DONE', 60000);
  assert.equal(await statusOf(many, theirs.at(-1)), 'WAITING', 'and theirs are not all done');
});
