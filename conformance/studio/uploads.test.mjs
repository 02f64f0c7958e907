//! Who may send how many pictures, how often and how slowly: a body is not read where that is refused, and nobody takes all the places.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { Scene, png, unique } from './scene.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
const album = (settings) => relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'album', ...settings });

let server;
before(async () => {
  server = await album();
});
after(() => server.remove());

class Album extends Scene {
  /** Somebody with a picture that has no file yet. */
  async person(house = unique('house')) {
    const who = { sub: unique('ann'), house };
    const { status, json } = await this.ask(who, 'POST', '/pictures', { body: {} });
    assert.equal(status, 201);
    return { who, id: json.pictureId };
  }

  send({ who, id }, { to = 'file', bytes = png() } = {}) {
    const form = new FormData();
    form.append('file', new Blob([bytes], { type: 'image/png' }), 'a.png');
    return this.ask(who, 'POST', `/pictures/${id}/${to}`, { form });
  }

  /** The beginning of an upload that says it is long. `answer` is the first line that comes back. */
  begin({ who, id }, { to = 'file' } = {}) {
    const { port } = new URL(this.server.url);
    const socket = net.connect(Number(port), '127.0.0.1');
    this.t.after(() => socket.destroy());
    socket.on('error', () => {});
    const head = [
      `POST /pictures/${id}/${to} HTTP/1.1`, 'host: here', `authorization: Bearer ${this.token({ name: who.sub, ...who })}`,
      'content-type: multipart/form-data; boundary=x', 'content-length: 1000000', '', '--x', 'content-disposition: form-data; name="file"; filename="a.png"', '', '',
    ];
    socket.write(head.join('\r\n'));
    socket.write(png());
    const answer = new Promise((resolve) => {
      socket.once('data', (data) => resolve(data.toString().split('\r\n')[0]));
      socket.once('close', () => resolve('closed'));
    });
    return { socket, answer };
  }

  /** How many uploads are being received. */
  underWay() {
    return readdirSync(path.join(this.server.data, 'incoming')).length;
  }
}

test('a limit refuses before the file is read', async (t) => {
  const scene = new Album(t, server);
  const ann = await scene.person();
  for (let turn = 0; turn < 2; turn += 1) assert.equal((await scene.send(ann, { to: 'rare' })).status, 201);
  const { status, json } = await scene.send(ann, { to: 'rare' });
  assert.deepEqual([status, json.code], [429, 'RATE_LIMITED']);
  assert.ok(json.retryAfterMs > 60_000);
  assert.match(await scene.begin(ann, { to: 'rare' }).answer, / 429 /, 'answered though most of it never came');
  assert.equal((await scene.send(ann)).status, 201, 'the other route has no limit');
});

test('one user has four uploads under way, and then others still have places', async (t) => {
  const scene = new Album(t, server);
  const [ann, bob] = [await scene.person('one'), await scene.person('one')];
  const four = [1, 2, 3, 4].map(() => scene.begin(ann));
  await eventually('four are under way', () => scene.underWay() === 4);
  const { status, json } = await scene.send(ann);
  assert.deepEqual([status, json.code, json.retryAfterMs], [429, 'RATE_LIMITED', 1000]);
  assert.equal((await scene.send(bob)).status, 201);
  four[0].socket.destroy();
  await eventually('one is given up', () => scene.underWay() === 3);
  await eventually('its place is free', async () => (await scene.send(ann)).status === 201);
});

test('one tenant has half of all places, and another one still gets in', async (t) => {
  const scene = new Album(t, server);
  const many = await Promise.all([1, 2, 3, 4].map(() => scene.person('crowded')));
  many.flatMap((one) => [1, 2, 3, 4].map(() => scene.begin(one)));
  await eventually('sixteen are under way', () => scene.underWay() === 16);
  const { status, json } = await scene.send(await scene.person('crowded'));
  assert.deepEqual([status, json.code, json.retryAfterMs], [503, 'OVERLOADED', 1000]);
  assert.equal((await scene.send(await scene.person())).status, 201);
});

test('an upload that comes byte by byte is given up, though something always comes', async (t) => {
  const own = await album({ RELAIS_BODY_TIMEOUT_MS: '400' });
  t.after(() => own.remove());
  const scene = new Album(t, own);
  const { socket, answer } = scene.begin(await scene.person());
  const drip = setInterval(() => socket.write('x'), 50);
  t.after(() => clearInterval(drip));
  assert.match(await answer, / 400 /);
  await eventually('nothing of it is left', () => scene.underWay() === 0);
});
