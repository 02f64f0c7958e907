//! The link of a plain JSON WebSocket: heartbeats, silence, hostile frames, a reader that does not read, a drain.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { relais } from '../lib/servers.mjs';
import { eventually, pause } from '../lib/wait.mjs';
import { OP, Wire, frame, handshake } from '../lib/wire.mjs';
import { House, unique } from './house.mjs';

const HEARTBEAT = { PING_INTERVAL: '400', PING_TIMEOUT: '600' };
let server;

before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0', ...HEARTBEAT });
});
after(() => server.remove());

/** A bare WebSocket that has been greeted. */
async function bare(t, claims = { sub: unique('bare') }) {
  const house = new House(t, server);
  const { pathname, search } = new URL(house.address('/ws/chat/', { token: house.token(claims) }));
  const wire = await Wire.open(server.url, pathname + search);
  t.after(() => wire.tcp.destroy());
  const first = await wire.next();
  assert.equal(JSON.parse(first.text).type, 'connected');
  return wire;
}

test('the server pings, and whoever answers as WebSocket libraries do stays', async (t) => {
  const house = new House(t, server);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  await eventually('three pings', () => ada.pings >= 3);
  await ada.ok('ping');
});

test('whoever is silent is closed: neither pongs nor frames within interval and timeout', async (t) => {
  const wire = await bare(t);
  const began = Date.now();
  await wire.ended;
  const took = Date.now() - began;
  assert.ok(took > 700, `${took} ms`);
});

test('whoever sends frames is not silent, even without pongs', async (t) => {
  const wire = await bare(t);
  for (let n = 0; n < 15; n += 1) {
    wire.text('{"type":"ping"}');
    await pause(200);
  }
  wire.text('{"type":"ping","id":"last"}');
  const ack = await wire.frames.next('the last ack', ({ text }) => text.includes('"id":"last"'));
  assert.match(ack.text, /"success":true/);
});

const BREACHES = {
  'an unmasked frame': [[frame(OP.text, '{"type":"ping"}', { mask: false })], 1002],
  'reserved bits': [[frame(OP.text, '{"type":"ping"}', { reserved: 4 })], 1002],
  'an unknown opcode': [[frame(5, 'x')], 1002],
  'a fragmented ping': [[frame(OP.ping, 'x', { fin: false })], 1002],
  'a bad close code': [[frame(OP.close, Buffer.from([3, 237]))], 1002],
  'an interleaved message': [[frame(OP.text, '{', { fin: false }), frame(OP.text, '}')], 1002],
  'text that is not UTF-8': [[frame(OP.text, Buffer.from([0x7b, 0xff]))], 1007],
  'a declared size over the limit': [[frame(OP.text, '', { length: 2 * 1024 * 1024 })], 1009],
  'an accumulated size over the limit': [Array.from({ length: 5 }, (_, n) => frame(n ? OP.continuation : OP.text, 'x'.repeat(300000), { fin: false })), 1009],
  'fragments of one byte without end': [[frame(OP.text, '{', { fin: false }), ...Array.from({ length: 1100 }, () => frame(OP.continuation, ' ', { fin: false }))], 1009],
  'a flood of pings': [Array.from({ length: 200 }, () => frame(OP.ping, 'x')), 1008],
};

for (const [name, [frames, code]] of Object.entries(BREACHES)) {
  test(`${name} ends with ${code}`, async (t) => {
    const wire = await bare(t);
    wire.send(...frames);
    assert.equal(await wire.closeCode(), code);
  });
}

test('frames in pieces, several in one write and one in several, are what they are', async (t) => {
  const wire = await bare(t);
  const whole = Buffer.concat([frame(OP.text, '{"type":"ping","id":1}'), frame(OP.text, '{"type":', { fin: false }), frame(OP.ping, 'between'), frame(OP.continuation, '"ping","id":2}')]);
  for (let at = 0; at < whole.length; at += 7) {
    wire.send(whole.subarray(at, at + 7));
    await pause(2);
  }
  for (const id of [1, 2]) await wire.frames.next(`ack ${id}`, ({ text }) => text.endsWith(`"id":${id}}`));
  await wire.frames.next('the pong', ({ opcode, text }) => opcode === OP.pong && text === 'between');
});

test('a head that comes in pieces is let in as well, with what follows it', async (t) => {
  const house = new House(t, server);
  const { pathname, search, host } = new URL(house.address('/ws/chat/', { token: house.token({ sub: unique('slow') }) }));
  const wire = await Wire.request(server.url, []);
  t.after(() => wire.tcp.destroy());
  const head = Buffer.from(`${handshake(pathname + search, host).join('\r\n')}\r\n\r\n`);
  wire.tcp.write(head.subarray(0, 20));
  await pause(50);
  wire.send(head.subarray(20), frame(OP.text, '{"type":"ping","id":"early"}'));
  const first = await wire.next();
  assert.equal(JSON.parse(first.text).type, 'connected');
  await wire.frames.next('the ack', ({ text }) => text.includes('"id":"early"'));
});

test('a reader that does not read is closed with 4008, and goes on where it was', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', RELAIS_EVENTS_PER_SECOND_MAX: '0' });
  t.after(() => own.remove());
  const house = new House(t, own);
  const roomId = unique('class');
  const address = `/ws/chat/${roomId}/`;
  const dozer = await house.enter(address, { sub: 'dozer', rooms: [roomId] });
  await dozer.next('room_joined');
  dozer.socket.pause();
  const ada = await house.enter(address, { sub: unique('ada'), rooms: [roomId] });
  const content = 'x'.repeat(4000);
  const slow = async () => Number(/relais_slow_consumers_total (\d+)/.exec(await (await fetch(`${own.url}/metrics`, { headers: { accept: 'text/plain' } })).text())?.[1] ?? 0);
  let sent = 0;
  for (; sent < 6000 && (sent % 50 || !(await slow())); sent += 1) await ada.ok('send_message', { roomId, content });
  assert.equal(await slow(), 1, 'it was given up');
  // What the kernels held is still for it to read; then the close frame, or the end where that could not be written.
  dozer.socket.resume();
  assert.ok([4008, 1006].includes((await dozer.end()).code));
  const back = await house.back(dozer);
  assert.equal(back.hello.resumed, true);
  await ada.ok('send_message', { roomId, content: 'end' });
  await back.next('message', (data) => data.content === 'end', 20000);
  const seqs = [...dozer.all('message'), ...back.all('message')].map(({ data }) => data.seq);
  assert.deepEqual(seqs, Array.from({ length: sent + 1 }, (_, n) => n + 1), 'every one, once, in order');
});

test('a server that stops closes with 1012, and the session goes on with the next', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom' });
  t.after(() => own.remove());
  const house = new House(t, own);
  const ada = await house.enter('/ws/chat/', { sub: unique('ada') });
  const [{ code }] = await Promise.all([ada.end(10000), own.program.stop()]);
  assert.equal(code, 1012);
  await own.program.start();
  const back = await house.back(ada);
  assert.equal(back.hello.resumed, true);
});
