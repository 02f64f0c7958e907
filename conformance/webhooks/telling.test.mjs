//! What the team's own backend is told: at least once, whatever dies in between.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Webhook } from 'standardwebhooks';
import { Backend } from './backend.mjs';
import { Guild, guild } from './house.mjs';
import { unique } from '../plain/house.mjs';
import { freePort } from '../lib/process.mjs';
import { eventually, pause } from '../lib/wait.mjs';

async function scene(t, settings) {
  const backend = await Backend.start(t);
  const server = await guild(backend, settings);
  t.after(() => server.remove());
  return { backend, server, house: new Guild(t, server) };
}

const said = (text) => (one) => one.type === 'message.sent' && one.data.facts.body === text;

test('an event is told once, signed as the Standard Webhooks library expects', async (t) => {
  const { backend, house } = await scene(t);
  const verified = [];
  const { take } = Backend.prototype;
  backend.take = async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    verified.push(new Webhook(backend.secret).verify(body, request.headers));
    const again = { headers: request.headers, async *[Symbol.asyncIterator]() { yield body; } };
    await take.call(backend, again, response);
  };
  const [name, yard] = [unique('ada'), unique('yard')];
  const ada = await house.comes(name, { yard, name: 'Ada' });
  const sent = await ada.ok('say', { yardId: yard, text: 'hello' });
  const told = await backend.next('hello', said('hello'));
  assert.equal(verified.length, 1);
  assert.equal(verified[0].type, 'message.sent');
  const { facts, position, ...data } = told.data;
  assert.deepEqual(data, { app: 'guild', tenant: 'default', seq: 1, room: { kind: 'yard', id: yard }, user: { id: name, name: 'Ada' } });
  assert.equal(facts.id, sent.id);
  assert.ok(position > 0);
  // Nobody hears of a new member on the wire, and still the backend is told.
  const hall = unique('hall');
  assert.equal((await house.http('PUT', `/halls/${hall}/members/${name}`)).status, 200);
  const added = await backend.next('a member', (one) => one.type === 'room.member_added');
  assert.equal(added.data.target, name);
  assert.equal(backend.all('message.sent').length, 1);
});

test('what could not be told is told when the backend is back, each under its own id', async (t) => {
  const { backend, house } = await scene(t);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  await backend.close();
  const texts = Array.from({ length: 30 }, (_, n) => `while away ${n}`);
  for (const text of texts) await ada.ok('say', { yardId: yard, text });
  await pause(500);
  await backend.listen();
  for (const text of texts) await backend.next(text, said(text), 30000);
  const ids = new Set(backend.all('message.sent').map((one) => one.id));
  assert.equal(ids.size, texts.length);
});

test('what is answered with an error is told again, under the same id', async (t) => {
  const { backend, house } = await scene(t);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  let refusals = 2;
  backend.told = () => (refusals-- > 0 ? 500 : 204);
  await ada.ok('say', { yardId: yard, text: 'again' });
  await eventually('three attempts', () => backend.all('message.sent').length === 3, 20000);
  assert.equal(new Set(backend.all('message.sent').map((one) => one.id)).size, 1);
  await pause(1500);
  assert.equal(backend.all('message.sent').length, 3);
});

test('a kill between commit and delivery loses nothing', { timeout: 120000 }, async (t) => {
  const { backend, server, house } = await scene(t, { WS_PORT: String(await freePort()) });
  const yard = unique('yard');
  const texts = [];
  for (let kill = 0; kill < 5; kill += 1) {
    const ada = await house.comes(unique('ada'), { yard });
    // The backend holds its answers: what is acknowledged to Ada is not yet told when the server dies.
    let held;
    const reached = new Promise((resolve) => (held = resolve));
    backend.told = kill % 2 ? () => 204 : () => (held(), new Promise(() => {}));
    for (let n = 0; n < 10; n += 1) {
      const text = `kill ${kill}, ${n}`;
      await ada.ok('say', { yardId: yard, text });
      texts.push(text);
    }
    if (kill % 2 === 0) await reached;
    await server.program.kill();
    backend.told = () => 204;
    await server.program.start();
  }
  for (const text of texts) await backend.next(text, said(text), 20000);
  // What is told again has the id that it had before.
  const ids = new Map();
  for (const one of backend.all('message.sent')) {
    const { body } = one.data.facts;
    assert.equal(ids.get(body) ?? one.id, one.id);
    ids.set(body, one.id);
  }
  assert.equal(ids.size, texts.length);
});

test('what was said before anybody listened is not told', async (t) => {
  const backend = await Backend.start(t);
  const before = await guild(undefined, { WS_PORT: String(await freePort()) });
  t.after(() => before.remove());
  const yard = unique('yard');
  const ada = await new Guild(t, before).comes(unique('ada'), { yard });
  await ada.ok('say', { yardId: yard, text: 'early' });
  await before.program.kill();
  const server = await guild(backend, { RELAIS_DATA: before.data, JWT_SECRET: before.secrets.JWT_SECRET });
  t.after(() => server.remove());
  Object.assign(server.secrets, { JWT_SECRET: before.secrets.JWT_SECRET });
  const bob = await new Guild(t, server).comes(unique('bob'), { yard });
  await bob.ok('say', { yardId: yard, text: 'late' });
  await backend.next('late', said('late'));
  // A tenant that is new begins at its beginning.
  const eve = await new Guild(t, server).comes(unique('eve'), { yard, tenant: 'fresh' });
  await eve.ok('say', { yardId: yard, text: 'fresh' });
  assert.equal((await backend.next('fresh', said('fresh'))).data.tenant, 'fresh');
  assert.deepEqual(backend.all('message.sent').filter(said('early')), []);
});

test('what is given up is a dead letter, which is listed and sent again', async (t) => {
  const { backend, house } = await scene(t);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  backend.told = () => 410;
  await ada.ok('say', { yardId: yard, text: 'gone' });
  const letters = async (query = '') => house.http('GET', `/guild/v1/dead-letters${query}`);
  const { body } = await eventually('a dead letter', async () => {
    const page = await letters();
    return page.body.deadLetters.length > 0 && page;
  });
  const [letter] = body.deadLetters;
  assert.equal(body.hasMore, false);
  assert.equal(letter.queue, 'webhook');
  assert.equal(letter.attempts, 1);
  assert.equal(letter.reason, 'answered 410');
  assert.equal(letter.data.data.facts.body, 'gone');
  backend.told = () => 204;
  const resent = await house.http('POST', `/guild/v1/dead-letters/${letter.id}/resend`);
  assert.equal(resent.status, 202);
  await eventually('it is told', () => backend.all('message.sent').length === 2);
  const [first, second] = backend.all('message.sent');
  assert.equal(first.id, second.id);
  assert.deepEqual((await letters()).body.deadLetters, []);
  assert.equal((await house.http('POST', `/guild/v1/dead-letters/${letter.id}/resend`)).status, 404);
  assert.equal((await letters('?limit=x')).status, 400);
  assert.equal((await house.http('GET', '/guild/v1/dead-letters', { token: 'wrong' })).status, 401);
  assert.equal((await house.http('POST', '/guild/v1/dead-letters')).status, 405);
  for (const query of ['?limit=0', '?limit=101', '?before=x']) assert.equal((await letters(query)).status, 400, query);
  assert.equal((await house.http('POST', '/guild/v1/dead-letters/x/resend')).status, 404);
  const { paths } = (await house.http('GET', '/guild/openapi.json')).body;
  assert.deepEqual(Object.keys(paths['/v1/dead-letters']), ['get']);
  assert.deepEqual(paths['/v1/dead-letters/{id}/resend'].post.responses['202'].description, 'Done');
});
