//! What the team's own backend is asked: who may join, and what becomes of an event.

import test, { after, before, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { Backend, newSecret } from './backend.mjs';
import { Guild, guild } from './house.mjs';
import { unique } from '../plain/house.mjs';

const secret = newSecret();
let backend;
let server;

before(async () => {
  backend = await Backend.start({ after: () => {} }, secret);
  server = await guild(backend);
});
after(async () => {
  await server.remove();
  await backend.close();
});
beforeEach(async () => {
  if (!backend.server) await backend.listen();
  backend.answer = () => ({ allow: true });
});

const asked = (type, about) => backend.all(type).filter((one) => JSON.stringify(one.data).includes(about));

test('the backend is asked who may join, and a yes counts for a minute', async (t) => {
  const house = new Guild(t, server);
  const [name, hall] = [unique('ada'), unique('hall')];
  const ada = await house.comes(name, { name: 'Ada', role: 'crier' });
  await ada.ok('enter', hall);
  const [question, ...others] = asked('room.join', hall);
  assert.deepEqual(others, []);
  const user = { id: name, name: 'Ada', role: 'crier' };
  assert.deepEqual(question.data, { app: 'guild', tenant: 'default', room: { kind: 'hall', id: hall }, user });
  assert.match(question.timestamp, /^\d{4}-.*Z$/);
  assert.match(question.id, /^msg_/);
  const again = await house.comes(name);
  await again.ok('enter', hall);
  assert.equal(asked('room.join', hall).length, 1);
  assert.equal(backend.forged, 0);
});

test('a no is NOT_A_MEMBER with the backend’s reason, and is asked again', async (t) => {
  const house = new Guild(t, server);
  const hall = unique('hall');
  const ada = await house.comes(unique('ada'));
  backend.answer = () => ({ allow: false, reason: 'not paid' });
  const { error } = await ada.ask('enter', hall);
  assert.equal(error.code, 'NOT_A_MEMBER');
  assert.match(error.message, /not paid/);
  backend.answer = () => ({ allow: false });
  assert.equal((await ada.ask('enter', hall)).error.code, 'NOT_A_MEMBER');
  backend.answer = () => ({ allow: true });
  await ada.ok('enter', hall);
  assert.equal(asked('room.join', hall).length, 3);
});

test('no answer, another status and an answer without allow are UNAVAILABLE, never an open door', async (t) => {
  const house = new Guild(t, server);
  const ada = await house.comes(unique('ada'));
  for (const answer of [500, 403, {}, { allow: 'true' }, [], { allow: 1 }]) {
    backend.answer = () => answer;
    const { error } = await ada.ask('enter', unique('hall'));
    assert.equal(error.code, 'UNAVAILABLE', JSON.stringify(answer));
    assert.equal(error.retryable, true);
  }
  await backend.close();
  assert.equal((await ada.ask('enter', unique('hall'))).error.code, 'UNAVAILABLE');
});

test('an event waits for the backend’s word, which may add to its payload and not to who sent it', async (t) => {
  const house = new Guild(t, server);
  const [name, yard] = [unique('ada'), unique('yard')];
  const ada = await house.comes(name, { yard });
  backend.answer = ({ data }) => ({ allow: true, payload: { text: `${data.payload.text}!`, sender: 'eve', userId: 'eve' } });
  const { body } = await ada.ok('bid', { yardId: yard, text: 'seven', extra: 1 });
  assert.equal(body, 'seven!');
  assert.deepEqual(await ada.next('said'), { text: 'seven!', from: name, seq: 1 });
  const [{ data }] = asked('event.ask', yard);
  assert.equal(data.event, 'bid');
  assert.deepEqual(data.payload, { yardId: yard, text: 'seven', extra: 1 });
  assert.equal(data.user.id, name);
});

test('what the backend makes of a payload is validated like a client’s', async (t) => {
  const house = new Guild(t, server);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  backend.answer = () => ({ allow: true, payload: { text: 'x'.repeat(41) } });
  assert.equal((await ada.ask('bid', { yardId: yard, text: 'seven' })).error.code, 'INVALID_PAYLOAD');
  backend.answer = () => ({ allow: true, payload: { yardId: unique('elsewhere') } });
  assert.equal((await ada.ask('bid', { yardId: yard, text: 'seven' })).error.code, 'NOT_IN_ROOM');
});

test('a refusal is FORBIDDEN with the backend’s words, a silence UNAVAILABLE', async (t) => {
  const house = new Guild(t, server);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  backend.answer = () => ({ allow: false, message: 'the auction is over' });
  const { error } = await ada.ask('bid', { yardId: yard, text: 'seven' });
  assert.equal(error.code, 'FORBIDDEN');
  assert.match(error.message, /the auction is over/);
  backend.answer = () => 500;
  assert.equal((await ada.ask('bid', { yardId: yard, text: 'seven' })).error.code, 'UNAVAILABLE');
  assert.deepEqual(ada.all('said'), []);
});

test('whoever may not send is refused before anybody is asked', async (t) => {
  const house = new Guild(t, server);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  assert.equal((await ada.ask('shout', { yardId: yard, text: 'x' })).error.code, 'FORBIDDEN');
  assert.deepEqual(asked('event.ask', yard), []);
});

test('what a session sends after a question is stored after it', async (t) => {
  const house = new Guild(t, server);
  const yard = unique('yard');
  const ada = await house.comes(unique('ada'), { yard });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  let come;
  const came = new Promise((resolve) => (come = resolve));
  backend.answer = async () => {
    come();
    await held;
    return { allow: true };
  };
  const bid = ada.ask('bid', { yardId: yard, text: 'first' });
  const said = ada.ask('say', { yardId: yard, text: 'second' });
  await came;
  release();
  assert.deepEqual([(await bid).seq, (await said).seq], [1, 2]);
});

test('a route asks likewise, with the parameters of its path', async (t) => {
  const house = new Guild(t, server);
  const [name, yard] = [unique('ada'), unique('yard')];
  const token = house.token({ sub: name });
  backend.answer = ({ data }) => ({ allow: true, payload: { text: `${data.payload.text} more` } });
  const path = `/yards/${yard}/bids`;
  const made = await house.http('POST', path, { token, body: { text: 'two' } });
  assert.deepEqual(made, { status: 201, body: { body: 'two more' } });
  const [{ data }] = asked('event.ask', yard);
  assert.deepEqual(data.parameters, { yardId: yard });
  assert.equal(data.event, 'POST /yards/{yardId}/bids');
  backend.answer = () => ({ allow: false, message: 'over' });
  assert.equal((await house.http('POST', path, { token, body: { text: 'two' } })).status, 403);
});

test('a backend in a private network is not asked unless the operator has named it', async (t) => {
  const { status, output } = await guild(backend, { RELAIS_OUTGOING_PRIVATE_HOSTS: '' }).then(
    async (running) => {
      await running.remove();
      return { status: 'started', output: '' };
    },
    (error) => ({ status: 'refused', output: error.message }),
  );
  assert.equal(status, 'refused');
  assert.match(output, /private network/);
});

test('an address whose name leads inwards starts, and is never asked', async (t) => {
  // A name is resolved when it is asked; the one of the machine itself leads inwards.
  const { hostname } = await import('node:os');
  const url = `http://${hostname()}:${backend.port}/hook`;
  const lonely = await guild(backend, { WEBHOOK_URL: url, RELAIS_OUTGOING_PRIVATE_HOSTS: '' });
  t.after(() => lonely.remove());
  const house = new Guild(t, lonely);
  const ada = await house.comes(unique('ada'));
  const hall = unique('hall');
  assert.equal((await ada.ask('enter', hall)).error.code, 'UNAVAILABLE');
  assert.deepEqual(asked('room.join', hall), []);
});
