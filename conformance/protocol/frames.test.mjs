//! RFC 6455 on the wire of the echo under `/__echo`: the handshake, whole and broken frames, the close codes.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL } from '../lib/engine.mjs';
import { ACCEPT, OP, Wire, frame, handshake } from '../lib/wire.mjs';
import { within } from '../lib/wait.mjs';

const open = () => Wire.open(ENGINE_URL, '/__echo');
const HOST = new URL(ENGINE_URL).host;

test('the handshake proves that it read the key, and accepts no extension', async () => {
  const wire = await Wire.request(ENGINE_URL, handshake('/__echo', HOST, ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits']));
  const head = await wire.head;
  assert.equal(head.status, 101);
  assert.equal(head.headers.get('sec-websocket-accept'), ACCEPT);
  assert.equal(head.headers.get('upgrade').toLowerCase(), 'websocket');
  assert.equal(head.headers.has('sec-websocket-extensions'), false);
  wire.end();
});

test('frames from the server are never masked', async () => {
  const wire = await open();
  wire.text('hello');
  const got = await wire.next();
  assert.deepEqual([got.first, got.masked, got.text], [0x81, false, 'hello']);
  wire.end();
});

for (const length of [0, 1, 125, 126, 127, 65535, 65536, 1000000]) {
  test(`a binary message of ${length} bytes comes back as it was`, async () => {
    const wire = await open();
    const body = Buffer.alloc(length, 0x5a);
    wire.send(frame(OP.binary, body));
    const got = await wire.next();
    assert.deepEqual([got.opcode, got.payload.equals(body)], [OP.binary, true]);
    wire.end();
  });
}

for (const [length, head] of [[125, 2], [126, 4], [65535, 4], [65536, 10]]) {
  test(`the server writes a length of ${length} in the fewest bytes`, async () => {
    const wire = await open();
    wire.send(frame(OP.binary, Buffer.alloc(length)));
    const got = await wire.next();
    assert.deepEqual([got.payload.length, got.head], [length, head]);
    wire.end();
  });
}

for (const key of [0, 0xffffffff, 0x12345678]) {
  test(`a frame masked with ${key.toString(16)} is unmasked`, async () => {
    const wire = await open();
    const sent = frame(OP.text, 'masked', { key: Buffer.from([key >>> 24, (key >>> 16) & 255, (key >>> 8) & 255, key & 255]) });
    wire.send(sent);
    assert.equal((await wire.next()).text, 'masked');
    wire.end();
  });
}

test('a fragmented message is one message, with a ping between its parts answered at once', async () => {
  const wire = await open();
  wire.send(frame(OP.text, 'one ', { fin: false }), frame(OP.ping, 'here?'));
  const pong = await wire.next();
  assert.deepEqual([pong.opcode, pong.text], [OP.pong, 'here?']);
  wire.send(frame(OP.continuation, 'two ', { fin: false }), frame(OP.continuation, 'three'));
  assert.equal((await wire.next()).text, 'one two three');
  wire.end();
});

test('fragments of bytes are one message of bytes, and may be empty', async () => {
  const wire = await open();
  const part = (opcode, bytes, fin) => frame(opcode, Buffer.from(bytes), { fin });
  wire.send(part(OP.binary, [], false), part(OP.continuation, [1], false), part(OP.continuation, [], false), part(OP.continuation, [2], true));
  const got = await wire.next();
  assert.deepEqual([got.first, [...got.payload]], [0x82, [1, 2]]);
  wire.send(part(OP.text, [], false), part(OP.continuation, [], true));
  const empty = await wire.next();
  assert.deepEqual([empty.first, empty.payload.length], [0x81, 0]);
  wire.end();
});

test('every kind of control frame may come inside a fragmented message', async () => {
  const wire = await open();
  wire.send(frame(OP.text, 'a', { fin: false }), frame(OP.pong, 'unasked'), frame(OP.ping, ''), frame(OP.continuation, 'b'));
  assert.equal((await wire.next()).opcode, OP.pong);
  assert.equal((await wire.next()).text, 'ab');
  wire.send(frame(OP.text, 'never ended', { fin: false }), frame(OP.close, Buffer.from([0x03, 0xe8])));
  assert.equal(await wire.closeCode(), 1000);
});

for (const length of [0, 1, 125]) {
  test(`a ping of ${length} bytes is answered by a pong of the same bytes`, async () => {
    const wire = await open();
    const body = Buffer.alloc(length, 0xfe);
    wire.send(frame(OP.ping, body));
    const pong = await wire.next();
    assert.deepEqual([pong.first, pong.masked, pong.payload.equals(body)], [0x80 | OP.pong, false, true]);
    wire.end();
  });
}

test('a character may be split between two fragments', async () => {
  const wire = await open();
  const euro = Buffer.from('€');
  wire.send(frame(OP.text, euro.subarray(0, 1), { fin: false }), frame(OP.continuation, euro.subarray(1)));
  assert.equal((await wire.next()).text, '€');
  wire.end();
});

test('frames that arrive byte by byte are read as well', async () => {
  const wire = await open();
  wire.tcp.setNoDelay(true);
  for (const byte of frame(OP.text, 'slowly')) {
    wire.tcp.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  assert.equal((await wire.next()).text, 'slowly');
  wire.end();
});

test('a close is answered with the same code, and the connection ends', async () => {
  const wire = await open();
  wire.send(frame(OP.close, Buffer.from([0x03, 0xe8])));
  assert.equal(await wire.closeCode(), 1000);
  await within(wire.ended, 'the connection ends');
});

test('a close without a code is answered, and the connection ends', async () => {
  const wire = await open();
  wire.send(frame(OP.close));
  assert.ok([1000, 1005].includes(await wire.closeCode()));
  await within(wire.ended, 'the connection ends');
});

for (const code of [1001, 1003, 1011, 3000, 4999]) {
  test(`a close with ${code} is answered with ${code}, whatever its reason says`, async () => {
    const wire = await open();
    wire.send(frame(OP.close, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from('é'.repeat(60))])));
    assert.equal(await wire.closeCode(), code);
    await within(wire.ended, 'the connection ends');
  });
}

test('nothing is answered behind a close, and nothing comes behind the answer', async () => {
  const wire = await open();
  wire.send(frame(OP.close, Buffer.from([0x03, 0xe8])), frame(OP.ping, 'late'), frame(OP.text, 'late'));
  await within(wire.ended, 'the connection ends');
  assert.deepEqual(wire.frames.all.map((got) => got.opcode), [OP.close]);
});

test('nothing is answered behind a violation, and nothing comes behind the close frame', async () => {
  const wire = await open();
  wire.send(frame(3, 'x'), frame(OP.ping, 'late'), frame(OP.text, 'late'));
  await within(wire.ended, 'the connection ends');
  assert.deepEqual(wire.frames.all.map((got) => got.opcode), [OP.close]);
});

test('a pong for which nobody asked is ignored', async () => {
  const wire = await open();
  wire.send(frame(OP.pong, 'unasked'));
  wire.text('still here');
  assert.equal((await wire.next()).text, 'still here');
  wire.end();
});

const BROKEN = [
  ['an unmasked frame', 1002, () => [frame(OP.text, 'bare', { mask: false })]],
  ['a reserved bit', 1002, () => [frame(OP.text, 'x', { reserved: 1 })]],
  ['the second reserved bit', 1002, () => [frame(OP.text, 'x', { reserved: 2 })]],
  ['the first reserved bit', 1002, () => [frame(OP.text, 'x', { reserved: 4 })]],
  ['a reserved bit of a control frame', 1002, () => [frame(OP.ping, '', { reserved: 4 })]],
  ['two reserved bits', 1002, () => [frame(OP.text, 'x', { reserved: 6 })]],
  ['an unknown data opcode', 1002, () => [frame(3, 'x')]],
  ['an unknown control opcode', 1002, () => [frame(11, 'x')]],
  ['a ping of 126 bytes', 1002, () => [frame(OP.ping, 'x'.repeat(126))]],
  ['a pong of 126 bytes', 1002, () => [frame(OP.pong, 'x'.repeat(126))]],
  ['a close frame of 126 bytes', 1002, () => [frame(OP.close, Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.alloc(124, 'x')]))]],
  ['a close frame in fragments', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xe8]), { fin: false })]],
  ['a ping in fragments', 1002, () => [frame(OP.ping, 'x', { fin: false })]],
  ['a continuation of nothing', 1002, () => [frame(OP.continuation, 'x')]],
  ['a message inside another', 1002, () => [frame(OP.text, 'x', { fin: false }), frame(OP.text, 'y')]],
  ['a close frame of one byte', 1002, () => [frame(OP.close, 'x')]],
  ['close code 999', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xe7]))]],
  ['close code 1004, which means nothing', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xec]))]],
  ['close code 1015, which is never sent', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xf7]))]],
  ['close code 2999', 1002, () => [frame(OP.close, Buffer.from([0x0b, 0xb7]))]],
  ['close code 1005, which is never sent', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xed]))]],
  ['close code 1006, which is never sent', 1002, () => [frame(OP.close, Buffer.from([0x03, 0xee]))]],
  ['close code 5000', 1002, () => [frame(OP.close, Buffer.from([0x13, 0x88]))]],
  ['a close reason that is not UTF-8', 1007, () => [frame(OP.close, Buffer.from([0x03, 0xe8, 0xff]))]],
  ['an overlong character', 1007, () => [frame(OP.text, Buffer.from([0xc0, 0xaf]))]],
  ['a character beyond Unicode', 1007, () => [frame(OP.text, Buffer.from([0xf4, 0x90, 0x80, 0x80]))]],
  ['text that is not UTF-8', 1007, () => [frame(OP.text, Buffer.from([0xce, 0xba, 0xff]))]],
  ['text with a surrogate', 1007, () => [frame(OP.text, Buffer.from([0xed, 0xa0, 0x80]))]],
  ['text that ends inside a character', 1007, () => [frame(OP.text, Buffer.from([0xe2, 0x82]))]],
  ['bad UTF-8 split over two fragments', 1007, () => [frame(OP.text, Buffer.from([0xe2]), { fin: false }), frame(OP.continuation, Buffer.from([0x28, 0xa1]))]],
  ['a declared length over the limit', 1009, () => [frame(OP.binary, 'x', { length: 17 * 1024 * 1024 })]],
];

for (const [what, code, frames] of BROKEN) {
  test(`${what} closes with ${code}`, async () => {
    const wire = await open();
    wire.send(...frames());
    assert.equal(await wire.closeCode(), code);
    wire.end();
  });
}

test('after a violation the server ends the connection, though the other side says nothing', async () => {
  const wire = await open();
  wire.send(frame(3, 'x'));
  await within(wire.ended, 'the connection ends');
});

test('fragments that sum up to more than the limit close with 1009', async () => {
  const wire = await open();
  const part = Buffer.alloc(1024 * 1024);
  wire.send(frame(OP.binary, part, { fin: false }));
  for (let n = 0; n < 17; n += 1) wire.send(frame(OP.continuation, part, { fin: false }));
  assert.equal(await wire.closeCode(), 1009);
});
