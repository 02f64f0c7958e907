//! Pushes of other things than messages: mentions in `classroom`, and an app that pushes always, one type of notification, and to telephones.

import test from 'node:test';
import assert from 'node:assert/strict';
import { own, scene, unique } from './house.mjs';
import { School } from '../classroom/school.mjs';
import { Backend } from '../webhooks/backend.mjs';
import { eventually, pause } from '../lib/wait.mjs';

/** Long enough for a push that should not be there. */
const SETTLED_MS = 700;

test('classroom: whoever is named while away gets a push of that alone, and who is here the frame alone', async (t) => {
  const { service, server, world } = await scene(t, { RELAIS_APP: 'classroom' });
  const school = new School(t, server);
  const teacher = await school.attend('Martin', 'teacher');
  const leo = await school.arrive('Leo');
  const here = await school.attend('Zoe');
  const [browser, other] = [await world.subscribe(service, leo), await world.subscribe(service, here)];
  leo.socket.close(1000);
  await school.say(teacher, 'nobody in particular');
  const message = await school.say(teacher, `@${leo.id} @${here.id} please come`);
  const push = await browser.next('a push', 15000);
  assert.equal(push.payload.type, 'message.mentioned');
  assert.equal(push.payload.title, teacher.called);
  assert.equal(push.payload.body, `@${leo.id} @${here.id} please come`);
  assert.equal(push.payload.tag, `room:${school.roomId}`);
  assert.equal(push.payload.data.messageId, message.id);
  assert.equal(push.urgency, 'high');
  await pause(SETTLED_MS);
  assert.deepEqual([browser.tried, other.tried], [1, 0]);
  // Read on another device: it is taken back.
  const back = await school.enter('/ws/chat/', leo.claims);
  await back.ok('join_room', { roomId: school.roomId });
  await back.ok('mark_read', { roomId: school.roomId, seq: message.seq });
  assert.deepEqual((await browser.next('a withdrawal')).payload, { type: 'withdraw', tag: `room:${school.roomId}` });
});

/** A desk with people at it, who have browsers. */
async function desk(t, settings) {
  const found = await own(t, settings);
  const { service, world } = found;
  const id = unique('desk');
  const person = (name) => world.person(name, { desks: [id] });
  const [alice, bob] = [person('Alice'), person('Bob')];
  const browser = await world.subscribe(service, bob);
  // Who has never come can be named once they have subscribed; the one who writes is known by the token.
  const write = async (text, who = alice) => {
    const answer = await world.http('POST', `/desks/${id}/words`, { token: who.token, body: { text } });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  return { ...found, id, alice, bob, browser, write };
}

test('a notification of the type that is pushed is pushed, and taken back when it is read; others are not', async (t) => {
  const { service, world, id, alice, bob, browser } = await desk(t);
  const post = async (path, token, body) => {
    const answer = await world.http('POST', path, { token, body });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  };
  assert.equal((await world.http('PUT', `/desks/${id}/members/${bob.id}`)).status, 200);
  const letter = await post(`/desks/${id}/letters`, alice.token, { subject: 'Rent' });
  const { payload, topic } = await browser.next();
  const { tag, data, at, ...rest } = payload;
  assert.deepEqual(rest, { type: 'notify.sent', title: 'A letter', body: 'Rent' });
  assert.deepEqual(data, { notificationId: tag.replace('notification:', ''), type: 'letter', data: { letterId: letter.id } });
  assert.match(at, /Z$/);
  await post('/notices', undefined, { userId: bob.id, title: 'Circular', message: 'for all', type: 'circular' });
  const sent = await post('/notices', undefined, { userId: bob.id, title: 'By hand', message: 'a letter too', type: 'letter' });
  const second = await browser.next();
  assert.equal(second.payload.body, 'a letter too');
  assert.notEqual(second.topic, topic);
  await post('/inbox/read', bob.token, { id: data.notificationId });
  assert.deepEqual((await browser.next('a withdrawal')).payload, { type: 'withdraw', tag });
  await post('/inbox/read', bob.token, { all: true });
  assert.deepEqual((await browser.next('a withdrawal')).payload, { type: 'withdraw', tag: `notification:${sent.id}` });
  await pause(SETTLED_MS);
  assert.equal(browser.tried, 4);
  assert.deepEqual(service.wrong, []);
});

test('a message that is deleted is taken back from where it is shown', async (t) => {
  const { world, id, alice, bob, browser, write } = await desk(t);
  const { id: message } = await write(`@${bob.id} a mistake`);
  assert.equal((await browser.next()).payload.body, `@${bob.id} a mistake`);
  assert.equal((await world.http('POST', '/retractions', { token: alice.token, body: { id: message } })).status, 200);
  assert.deepEqual((await browser.next('a withdrawal')).payload, { type: 'withdraw', tag: `desk-${id}` });
});

test('always means also to who is here', async (t) => {
  const { world, service, id } = await desk(t);
  const { start, connected } = await import('../lib/stock.mjs');
  const here = world.person('Chloé', { desks: [id] });
  const client = start(world.server.url, { transports: ['websocket'], auth: { token: here.token } });
  t.after(() => client.socket.close());
  await connected(client.socket);
  const browser = await world.subscribe(service, here);
  const alice = world.person('Alice', { desks: [id] });
  await world.http('POST', `/desks/${id}/words`, { token: alice.token, body: { text: `hello @${here.id}` } });
  assert.equal((await browser.next()).payload.body, `hello @${here.id}`);
});

test('the team\'s backend is asked to push to telephones, with what FCM takes, until it has taken it', async (t) => {
  const backend = await Backend.start(t);
  const { id, bob, browser, write } = await desk(t, backend.env);
  let refusals = 1;
  backend.told = () => (refusals-- > 0 ? 500 : 204);
  const { id: message } = await write(`@${bob.id} to your telephone`);
  const asked = await backend.next('a second attempt', (one) => one.type === 'push.requested' && refusals < 0, 15000);
  const { users, tag, message: fcm, ...rest } = asked.data;
  assert.deepEqual(rest, { app: 'post', tenant: 'default' });
  assert.deepEqual(users, [bob.id]);
  assert.equal(tag, `desk-${id}`);
  assert.deepEqual(fcm.notification, { title: 'Alice', body: `@${bob.id} to your telephone` });
  assert.equal(fcm.data.messageId, message);
  for (const value of Object.values(fcm.data)) assert.equal(typeof value, 'string');
  assert.equal(fcm.android.priority, 'HIGH');
  assert.equal(fcm.android.notification.tag, tag);
  assert.equal(fcm.apns.headers['apns-collapse-id'], fcm.android.collapse_key);
  await eventually('both attempts', () => backend.all('push.requested').length === 2);
  assert.equal(new Set(backend.all('push.requested').map((one) => one.id)).size, 1);
  assert.equal(backend.forged, 0);
  // The browser gets its own.
  assert.equal((await browser.next()).payload.data.messageId, message);
});
