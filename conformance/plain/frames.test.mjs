//! Frames of the plain JSON WebSocket: what `classroom` answers to whom, in which form, and what becomes of frames that are none.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { relais } from '../lib/servers.mjs';
import { House, unique } from './house.mjs';

let server;

before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
});
after(() => server.remove());

/** A class of its own with these people, all of them in it. */
async function classOf(t, ...names) {
  const house = new House(t, server);
  const roomId = unique('class');
  const people = [];
  for (const name of names) {
    const one = await house.enter(`/ws/chat/${roomId}/`, { sub: unique(name), rooms: [roomId], role: 'teacher' });
    one.joined = await one.next('room_joined');
    people.push(one);
  }
  return { house, roomId, people };
}

test('connected comes first and says who it is, what one may, and with what to come back', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: 7, name: 'Ada', role: 'teacher', rooms: ['5b'] });
  const { sessionId, permissions, ...rest } = ada.hello;
  assert.deepEqual(rest, { userId: 7, userName: 'Ada', role: 'teacher', rooms: [], resumed: false });
  assert.deepEqual(permissions, ['room.create', 'room.members', 'announce', 'write', 'moderate']);
  assert.equal(typeof sessionId, 'string');
  assert.equal(typeof ada.began.position, 'number', 'where it begins, for the first `after`');
  assert.deepEqual(ada.inbox.all.length, 1);
});

test('the addresses are those of the app below its name and at the root, with and without the slash at the end', async (t) => {
  const house = new House(t, server);
  for (const path of ['/ws/chat/', '/ws/chat', '/classroom/ws/chat/', '/classroom/ws/chat', '/studio/ws']) {
    const one = await house.enter(path, { sub: 'walker' });
    assert.equal(one.hello.userId, 'walker', path);
  }
  for (const path of ['/ws', '/ws/chat/a/b/', '/bam/ws/chat/', '/studio/ws/chat/', '/ws/chat/%ff/', '/nothing/ws']) {
    const response = await house.open(path, { token: house.token({ sub: 'walker' }) }).refused;
    assert.equal(response.statusCode, 404, path);
  }
  const response = await fetch(`${server.url}/ws/chat/`);
  assert.equal(response.status, 426);
});

test('the room of an address is joined at once, before anything that the client sends', async (t) => {
  const house = new House(t, server);
  const roomId = unique('größe/5 b');
  const address = `/ws/chat/${encodeURIComponent(roomId)}/`;
  const client = house.open(address, { token: house.token({ sub: 'ada', name: 'Ada', rooms: [roomId] }) });
  await client.opened;
  // Without waiting for `connected`, as a stock client does.
  client.send({ type: 'send_message', data: { roomId, content: 'here' }, id: 1 });
  const ack = await client.frame('ack');
  assert.equal(ack.data.success, true, JSON.stringify(ack));
  const types = client.inbox.all.map((frame) => frame.type);
  assert.deepEqual(types.slice(0, 2), ['connected', 'room_joined']);
  assert.equal((await client.next('room_joined')).roomId, roomId);
});

test('whoever may not join the room of the address is told who it is, and closed with 1008 NOT_A_MEMBER', async (t) => {
  const house = new House(t, server);
  const stranger = await house.enter('/ws/chat/5b/', { sub: 'stranger' });
  assert.deepEqual(await stranger.end(), { code: 1008, reason: 'NOT_A_MEMBER' });
  const long = await house.enter(`/ws/chat/${'x'.repeat(300)}/`, { sub: 'stranger' });
  assert.deepEqual(await long.end(), { code: 1008, reason: 'INVALID_PAYLOAD' });
});

test('an event reaches the room as one frame with its time and position, and the ack is a frame with the id', async (t) => {
  const { roomId, people: [ada, ben] } = await classOf(t, 'ada', 'ben');
  assert.deepEqual(Object.keys(ada.joined).sort(), ['lastSeq', 'onlineUsers', 'roomId', 'unread'].filter((key) => key in ada.joined).sort());
  ada.send({ type: 'send_message', data: { roomId, content: 'hello', tempId: 't1' }, id: 42 });
  const [ack, own, other] = await Promise.all([ada.frame('ack'), ada.frame('message'), ben.frame('message')]);
  assert.equal(ack.id, 42);
  assert.equal('position' in ack, false);
  assert.deepEqual([ack.data.success, ack.data.message.content, ack.data.message.seq, ack.data.message.tempId], [true, 'hello', 1, 't1']);
  assert.deepEqual(own, other, 'everyone gets the same frame');
  assert.equal(own.data.sender.id, ada.claims.sub);
  assert.ok(Number.isInteger(own.position) && own.position > ben.began.position);
  assert.equal(own.timestamp, own.data.createdAt, 'the time of what happened');
});

test('ids of any scalar come back as they went, and acks in the order of their requests', async (t) => {
  const { roomId, people: [ada] } = await classOf(t, 'ada');
  const ids = [1, 'é"\\', true, 1.5, -3, 12345678901234567890n, '', false, 0];
  for (const [n, id] of ids.entries()) {
    const type = ['send_message', 'get_messages', 'mark_read'][n % 3];
    const data = JSON.stringify({ roomId, content: `n${n}`, seq: 1 });
    const shown = typeof id === 'bigint' ? String(id) : JSON.stringify(id);
    ada.send(`{"type":"${type}","data":${data},"id":${shown}}`);
  }
  const acks = [];
  for (const _ of ids) acks.push(await ada.frame('ack'));
  assert.deepEqual(acks.map((ack) => ack.id), ids.map((id) => (typeof id === 'bigint' ? Number(id) : id)));
  assert.deepEqual(acks.map((ack) => ack.data.success), ids.map(() => true));
});

test('the same temporary id gives the same message and ack, and no second event', async (t) => {
  const { roomId, people: [ada] } = await classOf(t, 'ada');
  const tempId = unique('temp');
  const first = await ada.ok('send_message', { roomId, content: 'once', tempId });
  const again = await ada.ok('send_message', { roomId, content: 'once', tempId });
  assert.deepEqual(again.message, first.message);
  await ada.refusal('IDEMPOTENCY_CONFLICT', 'send_message', { roomId, content: 'twice', tempId });
  await ada.ok('send_message', { roomId, content: 'last' });
  await ada.next('message', ({ content }) => content === 'last');
  assert.deepEqual(ada.all('message').map((frame) => frame.data.content), ['once', 'last']);
});

test('without an id a failure is the event error; with one it is the ack alone', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  ada.send({ type: 'join_room', data: { roomId: 'elsewhere' } });
  const { error, message, ...rest } = await ada.next('error');
  assert.deepEqual(rest, { success: false, code: 'NOT_A_MEMBER', retryable: false, event: 'join_room' });
  assert.equal(error.code, 'NOT_A_MEMBER');
  assert.equal(error.message, message);
  await ada.refusal('NOT_A_MEMBER', 'join_room', { roomId: 'elsewhere' });
  await ada.refusal('NOT_A_MEMBER', 'send_message', { roomId: 'elsewhere', content: 'x' });
  await ada.refusal('INVALID_PAYLOAD', 'join_room', {});
  assert.equal(ada.all('error').length, 1);
});

test('an unknown type gets UNKNOWN_EVENT, and the connection stays', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  for (const type of ['nothing', 'ack', 'error', 'connected', '', 'connect', '__proto__']) {
    ada.send({ type });
    const { code, event } = await ada.next('error');
    assert.deepEqual([code, event], ['UNKNOWN_EVENT', type]);
  }
  await ada.ok('ping');
});

test('what is no frame gets INVALID_PAYLOAD, binary too, and the connection stays', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  const deep = `{"type":"ping","data":${'['.repeat(70)}${']'.repeat(70)}}`;
  const frames = ['', 'hello', '[]', 'null', '"ping"', '{}', '{"type":1}', '{"type":"ping"', '{"type":"ping"}}', '{"type":"ping","id":{}}', '{"type":"ping","id":[1]}'];
  frames.push(deep, '{"type":"ping","type":"ping"}', `{"type":"${'x'.repeat(256)}"}`, '{"type":"a\\u0000b"}', `{"type":"ping","id":"${'x'.repeat(300)}"}`);
  frames.push(Buffer.from('{"type":"ping"}'), Buffer.alloc(0));
  for (const frame of frames) {
    ada.send(frame);
    const { code, message, event } = await ada.next('error');
    assert.deepEqual([code, event], ['INVALID_PAYLOAD', undefined], String(frame).slice(0, 60));
    assert.match(message, /^unable to read a frame; /);
  }
  assert.equal(ada.all('pong').length, 0);
  await ada.ok('ping');
});

test('a payload is data: fields that nobody declared, __proto__ and somebody else as the sender change nothing', async (t) => {
  const { roomId, people: [ada] } = await classOf(t, 'ada');
  ada.send(`{"type":"send_message","id":1,"more":{},"data":{"roomId":${JSON.stringify(roomId)},"content":"x","__proto__":{"admin":true},"sender":{"id":"root"}}}`);
  const { data } = await ada.frame('message');
  assert.equal(data.sender.id, ada.claims.sub);
  assert.equal(data.admin, undefined);
});

test('ping is answered by pong, and by the ack where it has an id', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  ada.send({ type: 'ping' });
  const pong = await ada.frame('pong');
  assert.deepEqual(pong.data, {});
  assert.equal(typeof pong.position, 'number');
  await ada.ok('ping');
  assert.equal(ada.all('pong').length, 2);
});

test('typing reaches the others only, has no position, and ends by itself', async (t) => {
  const { roomId, people: [ada, ben] } = await classOf(t, 'ada', 'ben');
  ada.send({ type: 'typing_start', data: { roomId } });
  const began = await ben.frame('typing');
  assert.deepEqual(began.data, { roomId, userId: ada.claims.sub, userName: ada.claims.sub, isTyping: true });
  assert.equal('position' in began, false);
  const ended = await ben.next('typing', undefined, 8000);
  assert.equal(ended.isTyping, false);
  assert.equal(ada.all('typing').length, 0);
});

test('history, reading marks and status work as over Socket.IO', async (t) => {
  const { roomId, people: [ada, ben] } = await classOf(t, 'ada', 'ben');
  for (let n = 1; n <= 5; n += 1) await ada.ok('send_message', { roomId, content: `m${n}` });
  const page = await ben.ok('get_messages', { roomId, before: 5, limit: 2 });
  assert.deepEqual(page.messages.map(({ content }) => content), ['m3', 'm4']);
  assert.equal(page.hasMore, true);
  assert.equal((await ben.ok('mark_read', { roomId, seq: 4 })).seq, 4);
  assert.deepEqual(await ada.next('read'), { roomId, userId: ben.claims.sub, seq: 4 });
  await ben.ok('set_status', { status: 'busy', customStatus: 'marking' });
  const status = await ada.next('status', ({ userId }) => userId === ben.claims.sub);
  assert.deepEqual([status.status, status.customStatus], ['busy', 'marking']);
});

test('close() and close(1000) are a leave that others see at once; a cut link only after the grace', async (t) => {
  const { people: [ada, ben, cleo, dora] } = await classOf(t, 'ada', 'ben', 'cleo', 'dora');
  const left = (who, ms) => ada.next('user_offline', ({ userId }) => userId === who.claims.sub, ms);
  ben.close();
  await left(ben, 1500);
  cleo.close(1000);
  await left(cleo, 1500);
  const began = Date.now();
  await dora.cut();
  await left(dora, 8000);
  assert.ok(Date.now() - began > 4500);
});

test('socket.io and plain clients of one app are in the same rooms', async (t) => {
  const { people: [ada], roomId } = await classOf(t, 'ada');
  const { start, connected, ask } = await import('../lib/stock.mjs');
  const token = new House(t, server).token({ sub: 'stock', name: 'Stock', rooms: [roomId] });
  const stock = start(server.url, { transports: ['websocket'], auth: { token } });
  t.after(() => stock.socket.close());
  await connected(stock.socket);
  await ask(stock.socket, 'join_room', { roomId });
  await ask(stock.socket, 'send_message', { roomId, content: 'over socket.io' });
  assert.equal((await ada.next('message')).content, 'over socket.io');
  await ada.ok('send_message', { roomId, content: 'over plain' });
  await stock.inbox.next('the plain one', ({ name, args }) => name === 'message' && args[0].content === 'over plain');
});
