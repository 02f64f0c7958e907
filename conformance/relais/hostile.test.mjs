//! Hostile input on the engine's wire: what it costs the sender, and that nobody else notices.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL, MAX_PAYLOAD, Polling, SEPARATOR, Socket, request, socketio } from '../lib/engine.mjs';
import { OP, Wire, frame } from '../lib/wire.mjs';
import { within } from '../lib/wait.mjs';

const HEADER_TIMEOUT_MS = 10000;
const HOST = new URL(ENGINE_URL).host;

/** The server answers somebody else as always. */
async function assertWell() {
  const socket = await socketio();
  socket.send('421["message-with-ack","well?"]');
  assert.equal(await socket.next(), '431["well?"]');
  socket.close();
}

test('a megabyte of separators is refused, and the session is over', async () => {
  const session = await Polling.open();
  const response = await session.post(SEPARATOR.repeat(MAX_PAYLOAD - 10));
  assert.equal(response.status, 400);
  await session.assertGone();
  await assertWell();
});

test('a payload of a hundred thousand tiny packets disturbs nobody', async () => {
  const session = await Polling.open();
  await session.post(Array.from({ length: 100000 }, () => '6').join(SEPARATOR)).catch(() => {});
  await assertWell();
});

test('a POST that is declared too large is refused before it is sent', async () => {
  const session = await Polling.open();
  const wire = await Wire.request(ENGINE_URL, [`POST ${session.url} HTTP/1.1`, `Host: ${HOST}`, 'Content-Type: text/plain', 'Content-Length: 999999999999']);
  const { status } = await within(wire.head, 'it is refused');
  assert.equal(status, 413);
  wire.end();
  await assertWell();
});

test('a POST without a length that grows too large is refused', async () => {
  const session = await Polling.open();
  const wire = await Wire.request(ENGINE_URL, [`POST ${session.url} HTTP/1.1`, `Host: ${HOST}`, 'Content-Type: text/plain', 'Transfer-Encoding: chunked']);
  const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`;
  for (let n = 0; n < 20; n += 1) wire.tcp.write(chunk);
  const { status } = await within(wire.head, 'it is refused');
  assert.equal(status, 413);
  wire.end();
  await assertWell();
});

for (const [what, content] of [['one-byte', 'x'], ['empty', '']]) {
  test(`endless ${what} fragments close with 1009`, async () => {
    const wire = await Wire.open(ENGINE_URL, '/engine.io/?EIO=4&transport=websocket');
    wire.send(frame(OP.text, '4', { fin: false }));
    const part = Buffer.concat(Array.from({ length: 1000 }, () => frame(OP.continuation, content, { fin: false })));
    const sending = (async () => {
      for (let n = 0; n < 1000 && !wire.tcp.destroyed; n += 1) {
        if (!wire.tcp.write(part)) await Promise.race([new Promise((resolve) => wire.tcp.once('drain', resolve)), wire.ended]);
      }
    })();
    assert.equal(await wire.closeCode(), 1009);
    wire.end();
    await sending;
    await assertWell();
  });
}

for (const [what, length] of [
  ['two megabytes', 2 * 1024 * 1024],
  ['nearly everything that a length can say', 2 ** 53 - 1],
]) {
  test(`a frame that declares ${what} closes with 1009 at its head`, async () => {
    const wire = await Wire.open(ENGINE_URL, '/engine.io/?EIO=4&transport=websocket');
    wire.send(frame(OP.binary, '', { length }));
    assert.equal(await wire.closeCode(), 1009);
    wire.end();
  });
}

test('a flood of pings ends with 1008, or is answered, and disturbs nobody', async () => {
  const wire = await Wire.open(ENGINE_URL, '/engine.io/?EIO=4&transport=websocket');
  const pings = Buffer.concat(Array.from({ length: 5000 }, () => frame(OP.ping, 'x'.repeat(125))));
  wire.tcp.write(pings);
  await assertWell();
  wire.end();
});

for (const [what, lines] of [
  ['a head that never ends', ['GET /engine.io/?EIO=4&transport=polling HTTP/1.1', `Host: ${HOST}`, 'X-Slow: 1']],
  ['nothing at all', []],
]) {
  test(`a connection with ${what} is closed within ten seconds`, { timeout: 30000 }, async () => {
    const wire = await Wire.request(ENGINE_URL, []);
    // One byte now and then, as a slow head comes.
    const bytes = lines.join('\r\n');
    let sent = 0;
    const drip = setInterval(() => sent < bytes.length && wire.tcp.write(bytes[(sent += 1) - 1]), 100);
    await within(wire.ended, 'the server closes it', HEADER_TIMEOUT_MS + 3000);
    clearInterval(drip);
  });
}

test('too large or too many headers are refused with 431 or 400', async () => {
  const start = ['GET /engine.io/?EIO=4&transport=polling HTTP/1.1', `Host: ${HOST}`];
  for (const extra of [[`X-Big: ${'x'.repeat(1000000)}`], Array.from({ length: 5000 }, (_, n) => `X-${n}: y`)]) {
    const wire = await Wire.request(ENGINE_URL, [...start, ...extra]);
    const { status } = await within(wire.head, 'an answer');
    assert.ok([400, 431].includes(status), String(status));
    wire.end();
  }
  await assertWell();
});

test('JSON a hundred levels deep closes the connection, sixty are kept', async () => {
  const nested = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const good = await socketio();
  good.send(`42["message",${nested(60)}]`);
  assert.equal(await good.next(), `42["message-back",${nested(60)}]`);
  good.close();
  const bad = await socketio();
  bad.send(`42["message",${nested(100)}]`);
  await bad.assertCloses();
  const deep = await socketio();
  deep.send(`42["message",${'['.repeat(400000)}`);
  await deep.assertCloses();
  await assertWell();
});

test('__proto__ is a name like any other', async () => {
  const socket = await socketio();
  socket.send('42["message",{"__proto__":{"admin":true},"constructor":1}]');
  assert.equal(await socket.next(), '42["message-back",{"__proto__":{"admin":true},"constructor":1}]');
  socket.close();
});

for (const [what, name] of [
  ['of 300 bytes', `/${'x'.repeat(300)}`],
  ['with a control character', '/a\u0001b'],
  ['with a line break', '/a\nb'],
]) {
  test(`a namespace name ${what} is refused`, async () => {
    const socket = await Socket.open('/socket.io/');
    socket.send(`40${name},`);
    const answer = await Promise.race([socket.next(), socket.closed.then(() => 'closed')]);
    assert.ok(answer === 'closed' || answer.startsWith('44'), answer);
    socket.close();
  });
}

test('an ack id beyond all numbers does no harm', async () => {
  const socket = await socketio();
  socket.send('4299999999999999999999999999["message-with-ack",1]');
  await Promise.race([socket.next(), socket.closed]);
  await assertWell();
  socket.close();
});

test('an attachment count beyond all numbers closes the connection', async () => {
  const socket = await socketio();
  socket.send('4599999999999999999999-["message",{"_placeholder":true,"num":0}]');
  await socket.assertCloses();
  await assertWell();
});

test('HTTP that is no HTTP is refused or closed', async () => {
  for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 'HELO there\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', '\x00'.repeat(1000)]) {
    const wire = await Wire.request(ENGINE_URL, []);
    wire.tcp.write(Buffer.from(bytes, 'latin1'));
    await within(Promise.race([wire.head, wire.ended]), 'an end of it', HEADER_TIMEOUT_MS + 3000);
    wire.end();
  }
  await assertWell();
});

test('a path with tricks in it finds nothing', async () => {
  for (const path of ['/..%2f..%2fetc/passwd', '/engine.io/../../etc/passwd', '//engine.io/', '/%00']) {
    const { status } = await request(`${path}?EIO=4&transport=polling`);
    assert.ok(status === 404 || status === 400 || status === 200, `${path}: ${status}`);
    assert.notEqual(status, 500);
  }
  await assertWell();
});
