//! Socket.IO v5, packet by packet: namespaces, CONNECT, events, acks, attachments, and what closes a connection.

import test from 'node:test';
import assert from 'node:assert/strict';
import { CONNECT_TIMEOUT_MS, Polling, SEPARATOR, SLACK_MS, Socket, socketio } from '../lib/engine.mjs';
import { eventually, pause } from '../lib/wait.mjs';

const BYTES = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
const PLACEHOLDERS = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

for (const [what, sent, prefix, auth] of [
  ['the main namespace', '40', '40', '42["auth",{}]'],
  ['the main namespace with a payload', '40{"token":"123"}', '40', '42["auth",{"token":"123"}]'],
  ['another namespace', '40/custom,', '40/custom,', '42/custom,["auth",{}]'],
  ['another namespace with a payload', '40/custom,{"token":"abc"}', '40/custom,', '42/custom,["auth",{"token":"abc"}]'],
  ['another namespace, named without a comma', '40/custom', '40/custom,', '42/custom,["auth",{}]'],
]) {
  test(`CONNECT to ${what} is answered with an id of its own, then come its events`, async () => {
    const socket = await Socket.open('/socket.io/');
    socket.send(sent);
    const answer = await socket.next();
    assert.ok(answer.startsWith(`${prefix}{`), answer);
    const body = JSON.parse(answer.slice(prefix.length));
    assert.deepEqual(Object.keys(body), ['sid']);
    assert.equal(typeof body.sid, 'string');
    assert.notEqual(body.sid, socket.open.sid, 'the id of the transport stays a secret between the two');
    assert.equal(await socket.next(), auth);
    socket.close();
  });
}

test('CONNECT to a namespace that does not exist is refused, and the connection stays', async () => {
  const socket = await socketio();
  socket.send('40/random');
  assert.equal(await socket.next(), '44/random,{"message":"Invalid namespace"}');
  socket.send('42["message","still here"]');
  assert.equal(await socket.next(), '42["message-back","still here"]');
  socket.close();
});

test('an event comes back with the same arguments', async () => {
  const socket = await socketio();
  socket.send('42["message",1,"2",{"3":[true]},null,-1.5,"é€😀"]');
  assert.equal(await socket.next(), '42["message-back",1,"2",{"3":[true]},null,-1.5,"é€😀"]');
  socket.close();
});

test('an event without arguments is an event', async () => {
  const socket = await socketio();
  socket.send('42["message"]');
  assert.equal(await socket.next(), '42["message-back"]');
  socket.close();
});

test('an event with attachments comes back as header and attachments, in that order', async () => {
  const socket = await socketio();
  socket.send(`452-["message",${PLACEHOLDERS}]`);
  BYTES.forEach((bytes) => socket.send(bytes));
  assert.equal(await socket.next(), `452-["message-back",${PLACEHOLDERS}]`);
  assert.deepEqual(await socket.next(), BYTES[0]);
  assert.deepEqual(await socket.next(), BYTES[1]);
  socket.close();
});

test('an attachment deep inside an argument finds its place', async () => {
  const socket = await socketio();
  socket.send('451-["message",{"a":[{"b":{"_placeholder":true,"num":0}}],"c":1}]');
  socket.send(BYTES[0]);
  assert.equal(await socket.next(), '451-["message-back",{"a":[{"b":{"_placeholder":true,"num":0}}],"c":1}]');
  assert.deepEqual(await socket.next(), BYTES[0]);
  socket.close();
});

test('an ack carries the id and the arguments', async () => {
  const socket = await socketio();
  socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  assert.equal(await socket.next(), '43456[1,"2",{"3":[false]}]');
  socket.send('420["message-with-ack"]');
  assert.equal(await socket.next(), '430[]');
  socket.close();
});

test('an ack may carry attachments too', async () => {
  const socket = await socketio();
  socket.send(`452-789["message-with-ack",${PLACEHOLDERS}]`);
  BYTES.forEach((bytes) => socket.send(bytes));
  assert.equal(await socket.next(), `462-789[${PLACEHOLDERS}]`);
  assert.deepEqual(await socket.next(), BYTES[0]);
  assert.deepEqual(await socket.next(), BYTES[1]);
  socket.close();
});

test('an ack for which nobody asked is ignored', async () => {
  const socket = await socketio();
  socket.send('4399["who asked?"]');
  socket.send('42["message","still here"]');
  assert.equal(await socket.next(), '42["message-back","still here"]');
  socket.close();
});

test('two namespaces share a connection, and leaving one leaves the other', async () => {
  const socket = await socketio({ namespaces: ['/', '/custom'] });
  socket.send('41/custom,');
  socket.send('42["message","message to main namespace"]');
  assert.equal(await socket.next(), '42["message-back","message to main namespace"]');
  socket.close();
});

test('a namespace that was left can be entered again', async () => {
  const socket = await socketio({ namespaces: ['/', '/custom'] });
  socket.send('41/custom,');
  socket.send('421["message-with-ack"]');
  assert.equal(await socket.next(), '431[]');
  socket.send('40/custom,{"again":true}');
  assert.match(await socket.next(), /^40\/custom,\{"sid":/);
  assert.equal(await socket.next(), '42/custom,["auth",{"again":true}]');
  socket.close();
});

test('a DISCONNECT is answered by nothing', async () => {
  const socket = await socketio({ namespaces: ['/', '/custom'] });
  socket.send('41/custom,');
  socket.send('421["message-with-ack","next"]');
  assert.equal(await socket.next(), '431["next"]');
  socket.close();
});

test('the same over long-polling: CONNECT, event, ack, attachments', async () => {
  const session = await Polling.open('/socket.io/');
  await session.post('40');
  const came = [];
  while (came.length < 2) came.push(...(await session.packets()));
  assert.match(came[0], /^40\{"sid":/);
  assert.equal(came[1], '42["auth",{}]');
  await session.post([`451-["message",{"_placeholder":true,"num":0}]`, 'bAQID', '427["message-with-ack",1]'].join(SEPARATOR));
  const back = [];
  while (back.length < 3) back.push(...(await session.packets()));
  assert.deepEqual(back, ['451-["message-back",{"_placeholder":true,"num":0}]', 'bAQID', '437[1]']);
});

test('a connection that does not CONNECT within the time is closed', async () => {
  const began = Date.now();
  const socket = await Socket.open('/socket.io/');
  await socket.assertCloses(CONNECT_TIMEOUT_MS + SLACK_MS);
  assert.ok(Date.now() - began >= CONNECT_TIMEOUT_MS - 50, 'not before the time');
});

test('a connection that does CONNECT within the time is not closed', async () => {
  const socket = await Socket.open('/socket.io/');
  socket.send('40');
  assert.match(await socket.next(), /^40/);
  assert.equal(await socket.next(), '42["auth",{}]');
  const closed = await Promise.race([socket.closed, pause(CONNECT_TIMEOUT_MS + 200).then(() => 'open')]);
  assert.equal(closed, 'open');
  socket.close();
});

for (const [what, packets] of [
  ['of an unknown packet type', ['4abc']],
  ['whose payload is no array', ['42{}']],
  ['whose payload is not JSON', ['42["message",']],
  ['whose array is empty', ['42[]']],
  ['whose name is no text', ['42[{}]']],
  ['that acknowledges with no array', ['431{"no":"array"}']],
  ['with an ack id that is no number', ['42abc["message-with-ack",1]']],
  ['whose attachment count is no number', ['45x-["message",{"_placeholder":true,"num":0}]']],
  ['with attachments but no dash', ['451["message",{"_placeholder":true,"num":0}]']],
  ['with text where an attachment is due', ['451-["message",{"_placeholder":true,"num":0}]', '42["message",1]']],
  ['with a placeholder beyond the attachments', ['451-["message",{"_placeholder":true,"num":3}]', BYTES[0]]],
  ['with bytes that no header announced', [BYTES[0]]],
  ['that asks to be an error', ['44"no"']],
]) {
  test(`an event ${what} closes the connection`, async () => {
    const socket = await socketio();
    packets.forEach((packet) => socket.send(packet));
    await socket.assertCloses();
  });
}

for (const name of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
  test(`an event with the reserved name ${name} closes the connection`, async () => {
    const socket = await socketio();
    socket.send(`42["${name}",1]`);
    await socket.assertCloses();
  });
}

test('an event before CONNECT closes the connection', async () => {
  const socket = await Socket.open('/socket.io/');
  socket.send('42["message",1]');
  await socket.assertCloses();
});

for (const [what, packet] of [
  ['an ack', '431[]'],
  ['a DISCONNECT', '41'],
  ['an event of another namespace', '42/custom,["message",1]'],
  ['an event with attachments', '450-["message",1]'],
]) {
  test(`${what} before CONNECT closes the connection`, async () => {
    const socket = await Socket.open('/socket.io/');
    socket.send(packet);
    await socket.assertCloses();
  });
}

test('CONNECT with a payload that is no object closes the connection', async () => {
  const socket = await Socket.open('/socket.io/');
  socket.send('40"text"');
  await socket.assertCloses();
});

test('DISCONNECT of the only namespace leaves the transport, which may CONNECT again', async () => {
  const socket = await socketio();
  socket.send('41');
  const pings = socket.pings;
  await eventually('heartbeats go on', () => socket.pings > pings + 1, SLACK_MS * 3);
  socket.send('40');
  assert.match(await socket.next(), /^40\{"sid":/);
  socket.close();
});

test('an event to a namespace that was left closes the connection', async () => {
  const socket = await socketio();
  socket.send('41');
  const pings = socket.pings;
  await eventually('a heartbeat between the two', () => socket.pings > pings, SLACK_MS * 3);
  socket.send('42["message",1]');
  await socket.assertCloses();
});
