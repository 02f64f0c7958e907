//! Hostile input below Socket.IO: frames, sizes, floods of control packets, heads and bodies of HTTP, Engine.IO requests.
//!
//! Each row: what is sent, what must happen, and `run(scene)`, which fails when something else happens.

import assert from 'node:assert/strict';
import { OP, frame, handshake } from '../lib/wire.mjs';
import { eventually, within } from '../lib/wait.mjs';
import { PATIENCE_MS, POLL, SOCKET } from './scene.mjs';

export const MIB = 1024 * 1024;
const SEPARATOR = '\x1e';
const code = (n) => Buffer.from([n >> 8, n & 255]);
const TEXT = { 'content-type': 'text/plain;charset=UTF-8' };

export const BROKEN_FRAMES = [
  ['unmasked', () => [frame(OP.text, '40', { mask: false })]],
  ['a reserved bit', () => [frame(OP.text, '40', { reserved: 4 })]],
  ['an unknown data opcode', () => [frame(5, 'x')]],
  ['an unknown control opcode', () => [frame(12, '')]],
  ['a ping of 126 bytes', () => [frame(OP.ping, 'x'.repeat(126))]],
  ['a ping in fragments', () => [frame(OP.ping, 'x', { fin: false })]],
  ['a continuation of nothing', () => [frame(OP.continuation, 'x')]],
  ['a message inside another', () => [frame(OP.text, '4', { fin: false }), frame(OP.text, '4')]],
  ['a close frame of one byte', () => [frame(OP.close, 'x')]],
  ['close code 999', () => [frame(OP.close, code(999))]],
  ['close code 1006', () => [frame(OP.close, code(1006))]],
];

export const BAD_TEXT = [
  ['whole', () => [frame(OP.text, Buffer.from([0x34, 0xff]))]],
  ['split over fragments', () => [frame(OP.text, Buffer.from([0x34, 0xe2]), { fin: false }), frame(OP.continuation, Buffer.from([0x28, 0xa1]))]],
  ['in a frame that is still to come', () => [frame(OP.text, Buffer.from([0x34, 0xff]), { length: 1000 })]],
  ['in a close reason', () => [frame(OP.close, Buffer.from([0x03, 0xe8, 0xff]))]],
];

/** Writes parts until the peer ends the connection. */
export async function pour(wire, part, times) {
  for (let n = 0; n < times && !wire.tcp.destroyed; n += 1) {
    if (!wire.tcp.write(part)) await Promise.race([new Promise((resolve) => wire.tcp.once('drain', resolve)), wire.ended]);
  }
}

async function endlessFragments(scene, payload) {
  const wire = await scene.engine();
  wire.send(frame(OP.text, '4', { fin: false }));
  const part = Buffer.concat(Array.from({ length: 500 }, () => frame(OP.continuation, payload, { fin: false })));
  const pouring = pour(wire, part, 100);
  await scene.closes(wire, 1009);
  await pouring;
}

async function assertProblem(answer, status, problem) {
  const { status: got, body } = await answer;
  assert.deepEqual([got, body], [status, problem]);
}

/** A head that comes byte by byte and does not end; the server must end it. */
async function slowHead(scene, lines) {
  const wire = await scene.tcp();
  const bytes = lines.join('\r\n');
  let sent = 0;
  const drip = setInterval(() => sent < bytes.length && wire.tcp.write(bytes[(sent += 1) - 1]), 100);
  try {
    await within(wire.ended, 'the server closes it', PATIENCE_MS);
  } finally {
    clearInterval(drip);
    wire.end();
  }
}

const status = async (wire) => (await within(Promise.race([wire.head, wire.ended.then(() => ({ status: 'no answer' }))]), 'an answer', PATIENCE_MS)).status;

export const WIRE_ROWS = [
  {
    row: 'broken frames: 1002',
    async run(scene) {
      for (const [what, frames] of BROKEN_FRAMES) {
        const wire = await scene.engine();
        wire.send(...frames());
        await scene.closes(wire, 1002).catch((error) => assert.fail(`${what}: ${error.message}`));
      }
    },
  },
  {
    row: 'text that is not UTF-8: 1007 at the first bad byte',
    async run(scene) {
      for (const [what, frames] of BAD_TEXT) {
        const wire = await scene.engine();
        wire.send(...frames());
        await scene.closes(wire, 1007).catch((error) => assert.fail(`${what}: ${error.message}`));
      }
    },
  },
  {
    row: 'a declared size over the limit: 1009 at the head of the frame',
    async run(scene) {
      for (const length of [MIB + 1, 2 ** 31, 2 ** 53 - 1]) {
        const wire = await scene.engine();
        wire.send(frame(OP.binary, '', { length }));
        await scene.closes(wire, 1009);
      }
    },
  },
  {
    row: 'an accumulated size over the limit: 1009',
    async run(scene) {
      const wire = await scene.engine();
      wire.send(frame(OP.text, '4', { fin: false }));
      const part = frame(OP.continuation, 'x'.repeat(65536), { fin: false });
      const pouring = pour(wire, part, 32);
      await scene.closes(wire, 1009);
      await pouring;
    },
  },
  { row: 'endless fragments of one byte: 1009', run: (scene) => endlessFragments(scene, 'x') },
  { row: 'endless fragments of nothing: 1009', run: (scene) => endlessFragments(scene, '') },
  {
    row: 'a flood of pings, of pongs, of empty packets: 1008',
    async run(scene) {
      for (const one of [frame(OP.ping, 'x'.repeat(125)), frame(OP.pong, ''), frame(OP.text, '3'), frame(OP.text, '6')]) {
        const wire = await scene.engine();
        wire.tcp.write(Buffer.concat(Array.from({ length: 500 }, () => one)));
        await scene.closes(wire, 1008);
      }
    },
  },
  {
    row: 'too large a head, or too many headers: 431',
    async run(scene) {
      const start = [`GET ${POLL} HTTP/1.1`, `Host: ${scene.host}`];
      for (const extra of [[`X-Big: ${'x'.repeat(20000)}`], Array.from({ length: 100 }, (_, n) => `X-${n}: y`), Array.from({ length: 3000 }, (_, n) => `X-${n}: y`)]) {
        const wire = await scene.tcp([...start, ...extra]);
        assert.equal(await status(wire), 431);
        wire.end();
      }
    },
  },
  {
    row: 'a head that never ends: closed',
    run: (scene) => slowHead(scene, [`GET ${POLL} HTTP/1.1`, `Host: ${scene.host}`, 'X-Slow: 1']),
  },
  { row: 'an upgrade that never ends: closed', run: (scene) => slowHead(scene, handshake(SOCKET, scene.host)) },
  { row: 'a connection that says nothing: closed', run: (scene) => slowHead(scene, []) },
  {
    row: 'a connection that says nothing after its first request: closed',
    async run(scene) {
      const wire = await scene.tcp(['GET /healthz HTTP/1.1', `Host: ${scene.host}`]);
      assert.equal(await status(wire), 200);
      await within(wire.ended, 'the server closes it', PATIENCE_MS);
    },
  },
  {
    row: 'bad handshakes: 400 with the code of the protocol',
    async run(scene) {
      const transport = { code: 0, message: 'Transport unknown' };
      const unknown = { code: 1, message: 'Session ID unknown' };
      const version = { code: 5, message: 'Unsupported protocol version' };
      for (const [query, problem] of [
        ['EIO=4&transport=abc', transport],
        ['EIO=4', transport],
        ['EIO=4&transport=__proto__', transport],
        ['EIO=3&transport=polling', version],
        ['transport=polling', version],
        ['EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', unknown],
        ['EIO=4&transport=polling&sid=..%2f..%2fetc', unknown],
        [`EIO=4&transport=polling&sid=${'A'.repeat(5000)}`, unknown],
      ]) {
        await assertProblem(scene.request('GET', `/socket.io/?${query}`), 400, problem);
      }
      await assertProblem(scene.request('POST', POLL, { headers: TEXT, body: '40' }), 400, { code: 2, message: 'Bad handshake method' });
    },
  },
  {
    row: 'a second poll or POST beside the first: 400, and the session is over',
    async run(scene) {
      const polled = await scene.polling();
      const answers = await Promise.all([scene.request('GET', polled), scene.request('GET', polled)]);
      assert.ok(answers.some((answer) => answer.status === 400), 'one of them is refused');
      assert.equal((await scene.request('GET', polled)).body.code, 1, 'it is over');
      const posted = await scene.polling();
      const open = await scene.tcp([`POST ${posted} HTTP/1.1`, `Host: ${scene.host}`, 'Content-Type: text/plain', 'Content-Length: 10']);
      open.tcp.write('40');
      // The first is on a connection of its own, so it may still be on its way when others have come and gone.
      const beside = () => scene.request('POST', posted, { headers: TEXT, body: '40' });
      await eventually('one beside it is refused', async () => (await beside()).status === 400, PATIENCE_MS);
      assert.equal((await scene.request('GET', posted)).body.code, 1, 'it is over');
      open.end();
    },
  },
  {
    row: 'a POST that is too large, declared or growing: 413',
    async run(scene) {
      const head = (path, more) => [`POST ${path} HTTP/1.1`, `Host: ${scene.host}`, 'Content-Type: text/plain', more];
      const declared = await scene.tcp(head(await scene.polling(), 'Content-Length: 99999999999'));
      assert.equal(await status(declared), 413);
      declared.end();
      const growing = await scene.tcp(head(await scene.polling(), 'Transfer-Encoding: chunked'));
      const pouring = pour(growing, `10000\r\n${'x'.repeat(65536)}\r\n`, 20);
      assert.equal(await status(growing), 413);
      growing.end();
      await pouring;
    },
  },
  {
    row: 'a megabyte of separators, raw bytes as a body: 400, and the session is over',
    async run(scene) {
      for (const [headers, body] of [
        [TEXT, SEPARATOR.repeat(MIB - 10)],
        [{ 'content-type': 'application/octet-stream' }, Buffer.alloc(1000, 4)],
        [TEXT, Buffer.from([0x34, 0xff, 0xfe])],
        [TEXT, 'b!!!!'],
      ]) {
        const path = await scene.polling();
        assert.equal((await scene.request('POST', path, { headers, body })).status, 400);
        assert.equal((await scene.request('GET', path)).body.code, 1, 'it is over');
      }
    },
  },
  {
    row: 'a hundred thousand tiny packets in a payload: the session is over',
    async run(scene) {
      const path = await scene.polling();
      await scene.request('POST', path, { headers: TEXT, body: Array.from({ length: 100000 }, () => '6').join(SEPARATOR) });
      assert.equal((await scene.request('GET', path)).status, 400);
    },
  },
  {
    row: 'HTTP that is none: 400 or closed',
    async run(scene) {
      for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 'HELO there\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', '\x00'.repeat(1000), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']) {
        const wire = await scene.tcp();
        wire.tcp.write(Buffer.from(bytes, 'latin1'));
        assert.ok([400, 505, 'no answer'].includes(await status(wire)));
        wire.end();
      }
    },
  },
  {
    row: 'smuggled and contradictory lengths: 400 or closed',
    async run(scene) {
      for (const lengths of [['Content-Length: 5', 'Content-Length: 6'], ['Content-Length: -1'], ['Content-Length: 5, 6'], ['Transfer-Encoding: identity, chunked, x']]) {
        const wire = await scene.tcp([`POST ${POLL} HTTP/1.1`, `Host: ${scene.host}`, 'Content-Type: text/plain', ...lengths]);
        assert.ok([400, 'no answer'].includes(await status(wire)), lengths.join());
        wire.end();
      }
    },
  },
];
