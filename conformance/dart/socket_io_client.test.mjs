//! Flutter's socket_io_client 3.x, replayed from a bare socket: what it sends byte for byte, and what it needs to get back.
//!
//! The numbers are those of the list of facts about that client in the project's documents. In: RELAIS_ENGINE_URL for what any server
//! of the protocol must do, RELAIS_URL for `bam`. No Dart is run here.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL } from '../lib/engine.mjs';
import { KEY, URL_OF_BAM, World, http, unique } from '../lib/bam.mjs';
import { DART, ackOf, dartSocket, eventOf, readOpen } from '../lib/dart.mjs';
import { OP, frame } from '../lib/wire.mjs';

const REFERENCE = process.env.RELAIS_REFERENCE === '1';
const beyond = (why) => ({ skip: REFERENCE && `beyond the reference: ${why}` });
/** A Dart client in `bam`: connected, with its `connected` taken. */
async function dartInBam(token, query = 'transport=websocket') {
  const { wire } = await dartSocket(URL_OF_BAM, query);
  await readOpen(wire);
  wire.text(`40{"token":${JSON.stringify(token)}}`);
  const connect = (await wire.next('CONNECT')).text;
  const hello = await eventOf(wire);
  return { wire, connect, hello };
}

test('1. a WebSocket that says transport=polling is accepted', beyond('it refuses the mismatch'), async () => {
  const { wire } = await dartSocket(ENGINE_URL, 'transport=polling');
  assert.deepEqual((await readOpen(wire)).upgrades, []);
  wire.text('40');
  assert.match((await wire.next()).text, /^40\{"sid":"[^"]+"/);
  wire.end();
});

test('1. polling first, then an upgrade to WebSocket', async () => {
  const opened = await fetch(`${ENGINE_URL}/socket.io/?EIO=4&transport=polling&b64=1`, { headers: { 'user-agent': DART } });
  const open = JSON.parse((await opened.text()).slice(1));
  assert.deepEqual(open.upgrades, ['websocket']);
  const { wire } = await dartSocket(ENGINE_URL, `transport=websocket&sid=${open.sid}`);
  wire.text('2probe');
  assert.equal((await wire.frames.next()).text, '3probe');
  const poll = await fetch(`${ENGINE_URL}/socket.io/?EIO=4&transport=polling&sid=${open.sid}`);
  assert.equal(await poll.text(), '6');
  wire.text('5');
  wire.text('40');
  assert.match((await wire.next()).text, /^40\{"sid":/);
  wire.end();
});

test('2. the path works without its last slash', beyond('it insists on the slash'), async () => {
  const { wire } = await dartSocket(ENGINE_URL, 'transport=websocket', [], '/socket.io');
  await readOpen(wire);
  wire.end();
});

test('2. in a query + is a space, and a value may be JSON', async (t) => {
  const world = new World(t);
  const { token } = world.person('Alice');
  const odd = 'name=Alice+B&filter=%7B%22a%22%3A%5B1%2C2%5D%7D&empty=&flag';
  const { hello } = await dartInBam(token, `transport=websocket&${odd}`);
  assert.equal(hello[0], 'connected');
});

test('3. upgrades is a list, intervals and sizes are integers', async () => {
  for (const url of [ENGINE_URL, URL_OF_BAM]) {
    const { wire } = await dartSocket(url);
    await readOpen(wire);
    wire.end();
    const polled = await fetch(`${url}/socket.io/?EIO=4&transport=polling`);
    assert.match(await polled.text(), /^0\{.*"upgrades":\["websocket"\].*\}$/);
  }
});

test('4. a polling POST is answered 200 with a body that is not empty, and no t parameter is needed', async () => {
  for (const url of [ENGINE_URL, URL_OF_BAM]) {
    const open = JSON.parse((await (await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).text()).slice(1));
    const post = await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${open.sid}`, { method: 'POST', body: '40{}', headers: { 'content-type': 'text/plain; charset=utf-8' } });
    assert.equal(post.status, 200);
    assert.notEqual(await post.text(), '');
  }
});

test('5. after a first success it comes straight by WebSocket', async (t) => {
  const world = new World(t);
  const { token } = world.person('Alice');
  for (let n = 0; n < 2; n += 1) {
    const { wire, connect } = await dartInBam(token);
    assert.match(connect, /^40\{/);
    wire.end();
  }
});

test('6. nothing that it receives is an empty text frame, and nothing comes between a header and its attachments', async () => {
  const { wire } = await dartSocket(ENGINE_URL);
  await readOpen(wire);
  wire.text('40');
  await wire.next('CONNECT');
  await wire.next('auth');
  const rounds = 40;
  for (let n = 0; n < rounds; n += 1) {
    wire.text('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    wire.send(frame(OP.binary, Buffer.from([n])), frame(OP.binary, Buffer.from([n, n])));
    wire.text(`42["message",${n}]`);
  }
  let events = 0;
  while (events < 2 * rounds) {
    const got = await wire.next();
    assert.ok(got.opcode !== OP.text || got.text !== '', 'an empty text frame');
    if (got.text.startsWith('452-')) {
      // Straight from the inbox: not even a heartbeat may be between.
      for (let part = 0; part < 2; part += 1) assert.equal((await wire.frames.next()).opcode, OP.binary);
    } else assert.match(got.text, /^42\["message-back",\d+\]$/);
    events += 1;
  }
  wire.end();
});

test('7. every ack is exactly one JSON object', async (t) => {
  const world = new World(t);
  const { wire } = await dartInBam(world.person('Alice').token);
  const calls = [
    ['join-bam', world.bam],
    ['send-message', { bamId: world.bam, content: 'x' }],
    ['get-messages', { bamId: world.bam }],
    ['mark-read', { bamId: world.bam, seq: 1 }],
    ['status-change', 'away'],
    ['typing-start', world.bam],
    ['typing-stop', world.bam],
    ['send-message', { bamId: world.bam }],
    ['no-such-event', {}],
    ['leave-bam', world.bam],
  ];
  for (const [id, call] of calls.entries()) {
    wire.text(`42${id}${JSON.stringify(call)}`);
    const answer = await ackOf(wire, id);
    assert.equal(answer.length, 1, call[0]);
    assert.equal(typeof answer[0], 'object', call[0]);
    assert.equal(typeof answer[0].success, 'boolean', call[0]);
  }
  wire.end();
});

test('8. every event is one object, and asks for no ack', beyond('its recovery hands the offset to the application'), async (t) => {
  const world = new World(t);
  const { wire, connect, hello } = await dartInBam(world.person('Alice').token);
  assert.equal('pid' in JSON.parse(connect.slice(2)), false);
  assert.equal(hello.length, 2);
  wire.text(`421${JSON.stringify(['join-bam', world.bam])}`);
  await ackOf(wire, 1);
  const bob = await world.enter('Bob');
  await bob.say(world.bam, 'hello');
  await bob.ok('status-change', 'busy');
  await bob.ok('typing-start', world.bam);
  const seen = new Set();
  while (!['user-joined-bam', 'new-message', 'presence-update', 'typing-status'].every((name) => seen.has(name))) {
    const event = await eventOf(wire);
    assert.equal(event.length, 2, event[0]);
    assert.equal(typeof event[1], 'object', event[0]);
    seen.add(event[0]);
  }
  wire.end();
});

test('9. an offset of null, as it always sends, is a fresh session', async (t) => {
  const world = new World(t);
  const { token } = world.person('Alice');
  const { wire } = await dartSocket(URL_OF_BAM);
  await readOpen(wire);
  wire.text(`40{"token":${JSON.stringify(token)},"pid":null,"offset":null}`);
  assert.match((await wire.next()).text, /^40\{"sid":"[^"]+"/);
  assert.equal((await eventOf(wire))[0], 'connected');
  wire.end();
});

test('10. a list is sent as several arguments, and bytes as binary', async () => {
  const { wire } = await dartSocket(ENGINE_URL);
  await readOpen(wire);
  wire.text('40');
  await wire.next('CONNECT');
  await wire.next('auth');
  wire.text('42["message","a","b"]');
  assert.equal((await wire.next()).text, '42["message-back","a","b"]');
  wire.text('451-["message",{"_placeholder":true,"num":0}]');
  wire.send(frame(OP.binary, Buffer.from([1, 2, 3])));
  assert.equal((await wire.next()).text, '451-["message-back",{"_placeholder":true,"num":0}]');
  assert.deepEqual((await wire.next()).payload, Buffer.from([1, 2, 3]));
  wire.end();
});

test('10. more arguments than an event has are no error', async (t) => {
  const world = new World(t);
  const { wire } = await dartInBam(world.person('Alice').token);
  wire.text(`427${JSON.stringify(['join-bam', world.bam, 'and more', null])}`);
  const [answer] = await ackOf(wire, 7);
  assert.equal(answer.success, true, JSON.stringify(answer));
  wire.end();
});

test('11. the token may be in auth, in Authorization, or in the query', async (t) => {
  const world = new World(t);
  const { id, token } = world.person('Alice');
  for (const [query, headers, auth] of [
    ['transport=websocket', [], `{"token":${JSON.stringify(token)}}`],
    ['transport=websocket', [`authorization: Bearer ${token}`], ''],
    [`transport=websocket&token=${token}`, [], ''],
    [`transport=websocket&token=${token}`, [], '{}'],
  ]) {
    const { wire } = await dartSocket(URL_OF_BAM, query, headers);
    await readOpen(wire);
    wire.text(`40${auth}`);
    assert.match((await wire.next()).text, /^40\{"sid":/);
    const [name, hello] = await eventOf(wire);
    assert.deepEqual([name, hello.userId], ['connected', id]);
    wire.end();
  }
});

test('11. a bad token is refused by CONNECT_ERROR, over a WebSocket that did open', async () => {
  for (const [auth, code] of [['{"token":"nonsense"}', 'TOKEN_INVALID'], ['', 'TOKEN_MISSING']]) {
    const { wire } = await dartSocket(URL_OF_BAM);
    await readOpen(wire);
    wire.text(`40${auth}`);
    const { text } = await wire.next();
    assert.match(text, /^44\{/);
    assert.deepEqual(JSON.parse(text.slice(2)).data, { code });
    wire.end();
  }
});

test('12. losing access to a room is no DISCONNECT: the session stays', async (t) => {
  const world = new World(t);
  const person = world.person('Alice');
  const { wire } = await dartInBam(person.token);
  wire.text(`421${JSON.stringify(['join-bam', world.bam])}`);
  await ackOf(wire, 1);
  await http('DELETE', `/bams/${world.bam}/participants/${person.id}`, { token: KEY });
  const event = unique('still');
  await http('POST', '/websocket/notify', { token: KEY, body: { userId: person.id, event, data: {} } });
  await wire.frames.next('the event', (got) => got.text.includes(event));
  assert.equal(wire.frames.all.some((got) => got.text.startsWith('41')), false);
  wire.end();
});

test('13. the offer of compression is not taken up', async () => {
  for (const url of [ENGINE_URL, URL_OF_BAM]) {
    const { wire, head } = await dartSocket(url);
    assert.equal(head.headers.has('sec-websocket-extensions'), false);
    const first = await wire.next('the OPEN packet');
    assert.equal(first.first, 0x81, 'no reserved bit is set');
    wire.end();
  }
});

test('13. an old client of EIO=3 gets the reference’s error body', async () => {
  for (const url of [ENGINE_URL, URL_OF_BAM]) {
    const response = await fetch(`${url}/socket.io/?EIO=3&transport=polling`);
    assert.equal(response.status, 400);
    assert.equal(await response.text(), '{"code":5,"message":"Unsupported protocol version"}');
  }
});
