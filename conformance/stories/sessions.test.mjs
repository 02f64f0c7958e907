//! Who is there: the first events of a session, online and offline, a ping, what a Dart client needs of a session.

import test from 'node:test';
import assert from 'node:assert/strict';
import { GRACE_MS, SLACK_MS, assertTime, token, unique } from '../lib/bam.mjs';
import { Stage, URL_OF_STORIES, number } from '../lib/stories.mjs';
import { WAYS, own, start } from '../lib/stock.mjs';
import { pause } from '../lib/wait.mjs';

test('a session is told who it is, and then who is online, with ids as numbers', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.author('Inès');
  const tom = await stage.connect('Tom');
  assert.deepEqual(Object.keys(tom.hello), ['userId', 'userName', 'role', 'sessionId']);
  assert.deepEqual([ines.hello.userId, ines.hello.userName, ines.hello.role], [ines.id, 'Inès', 'author']);
  assert.deepEqual([tom.hello.userId, tom.hello.role], [tom.id, null]);
  assert.ok(tom.online.includes(ines.id), JSON.stringify(tom.online));
  assert.ok(tom.online.every((id) => typeof id === 'number' || typeof id === 'string'));
  const [first, second] = tom.inbox.all.map(({ name }) => name).filter((name) => name !== 'user:online');
  assert.deepEqual([first, second], ['connected', 'users:online']);
});

test('an id that is a text stays a text', async (t) => {
  const stage = new Stage(t);
  const reader = await stage.connect(stage.person('Zoé', { id: unique('zoe') }));
  assert.equal(reader.hello.userId, reader.id);
  assert.ok(reader.online.includes(reader.id));
});

test('a role that the app does not know is an ordinary reader', async (t) => {
  const stage = new Stage(t);
  const reader = await stage.connect(stage.person('Zoé', { role: 'emperor' }));
  assert.equal(reader.hello.role, null);
  await reader.refused('FORBIDDEN', 'send:notification', { userId: 1, notification: { title: 'x', message: 'y' } });
});

for (const [way, transports] of Object.entries(WAYS)) {
  test(`no event has a recovery offset behind it, and the session no pid: ${way}`, async (t) => {
    const stage = new Stage(t);
    const reader = await stage.connect('Tom', transports);
    await stage.notify(reader.id);
    await reader.notified();
    await reader.ok('ping');
    await reader.next('pong');
    for (const { name, args } of reader.inbox.all) assert.equal(args.length, 1, name);
    assert.equal(reader.socket._pid, undefined);
  });
}

test('ping is answered by pong and by an ack, both with the time', async (t) => {
  const stage = new Stage(t);
  const reader = await stage.connect('Tom');
  const answer = await reader.ok('ping');
  assert.deepEqual(Object.keys(answer), ['success', 'at']);
  assertTime(answer.at);
  assert.deepEqual(await reader.next('pong'), { at: answer.at });
  reader.socket.emit('ping');
  assertTime((await reader.next('pong')).at);
});

test('everybody hears once of somebody who comes, and who goes after the grace, and nobody of themselves', async (t) => {
  const stage = new Stage(t);
  const ines = await stage.connect('Inès');
  const person = stage.person('Tom');
  const phone = await stage.connect(person);
  assert.deepEqual(await ines.nextWhere('user:online', ({ userId }) => userId === person.id), { userId: person.id });
  const laptop = await stage.connect(person);
  const about = (reader, event) => reader.all(event).filter(({ userId }) => userId === person.id);
  phone.close();
  await pause(GRACE_MS + SLACK_MS);
  assert.equal(about(ines, 'user:offline').length, 0, 'the laptop is still there');
  assert.equal(about(ines, 'user:online').length, 1);
  assert.equal(about(laptop, 'user:online').length, 0);
  laptop.close();
  assert.deepEqual(await ines.nextWhere('user:offline', ({ userId }) => userId === person.id, GRACE_MS + 2 * SLACK_MS), { userId: person.id });
  assert.equal(about(ines, 'user:offline').length, 1);
});

for (const [what, auth, code] of [
  ['no token', {}, 'TOKEN_MISSING'],
  ['nonsense', { token: 'nonsense' }, 'TOKEN_INVALID'],
  ['a token of another key', { token: token({ sub: 1 }, 'x'.repeat(40)) }, 'TOKEN_INVALID'],
  ['a token that is over', { token: token({ sub: 1, exp: 1_000_000_000 }) }, 'TOKEN_EXPIRED'],
  ['a token of nobody', { token: token({ name: 'x' }) }, 'TOKEN_INVALID'],
  ['a token of another app', { token: token({ sub: 1, app: 'bam' }) }, 'TOKEN_INVALID'],
]) {
  test(`${what} is refused with ${code}`, async (t) => {
    const { socket } = start(URL_OF_STORIES, { transports: ['websocket'], auth });
    t.after(() => socket.close());
    const [error] = await own(socket, 'connect_error');
    assert.deepEqual(error.data, { code });
  });
}

test('an event that nobody declared is UNKNOWN_EVENT, with an ack and without', async (t) => {
  const stage = new Stage(t);
  const reader = await stage.connect('Tom');
  await reader.refused('UNKNOWN_EVENT', 'like', { storyId: 1 });
  reader.socket.emit('notification:received', { title: 'forged' });
  const error = await reader.next('error');
  assert.deepEqual([error.event, error.error.code], ['notification:received', 'UNKNOWN_EVENT']);
});

test('two apps of one server know nothing of each other, and one server’s tokens are good for both', async (t) => {
  const stage = new Stage(t);
  const id = number();
  const person = stage.person('Tom', { id, bams: ['b'] });
  const reader = await stage.connect(person);
  const other = start(`${URL_OF_STORIES}/`, { path: '/bam/socket.io/', transports: ['websocket'], auth: { token: person.token } });
  t.after(() => other.socket.close());
  await other.next('connected');
  await stage.notify(id, { title: 'in stories' });
  await reader.notified();
  const sent = await stage.http('POST', '/bam/websocket/notify', { token: stage.key, body: { userId: id, event: 'only-bam', data: {} } });
  assert.deepEqual([sent.status, sent.body.delivered], [200, 1]);
  await other.next('only-bam');
  assert.equal(reader.all('only-bam').length, 0);
  assert.equal(other.inbox.all.some(({ name }) => name === 'notification:received' || name === 'user:online'), false);
});

test('the metrics have the default keys', async (t) => {
  const stage = new Stage(t);
  await stage.connect('Tom');
  const { status, body } = await stage.http('GET', '/metrics', { token: stage.key });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['totalConnections', 'activeConnections', 'messagesPerMinute', 'connectedUsers']);
  assert.ok(body.connectedUsers >= 1);
});
