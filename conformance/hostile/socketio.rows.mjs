//! Hostile input inside Socket.IO: packets, names, JSON, floods of events, namespaces and rooms; what is said to be of somebody else.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
const RESERVED = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'];

/** Packets that end the connection, after CONNECT, with the code that they end it with. */
const MALFORMED = [
  ['no type', 1002, '4'],
  ['an unknown type', 1002, '49[]'],
  ['no packet at all', 1002, ''],
  ['an event that is no array', 1002, '42{}'],
  ['an event without a name', 1002, '42[]'],
  ['an event whose name is no text', 1002, '42[{}]'],
  ['an event that is not JSON', 1002, '42["a",'],
  ['an ack id that is no number', 1002, '42x["a"]'],
  ['an ack id beyond all numbers', 1002, '4299999999999999999999999999["a"]'],
  ['an attachment count that is no number', 1002, '45x-["a"]'],
  ['an attachment count beyond all numbers', 1009, '4599999999999999999999-["a"]'],
  ['eleven attachments', 1009, '4511-["a"]'],
  ['a placeholder for nothing', 1002, '451-["a"]'],
  ['CONNECT once more', 1002, '40{}'],
  ['an Engine.IO OPEN', 1002, '0{}'],
  ...RESERVED.map((name) => [`the reserved name ${name}`, 1008, `42["${name}"]`]),
  ['a name of 300 bytes', 1008, `42["${'x'.repeat(300)}"]`],
  ['a name with a control character', 1008, '42["a\\u0000b"]'],
  ['a namespace of 300 bytes', 1008, `40/${'x'.repeat(300)},`],
  ['a namespace with a control character', 1008, '40/a\u0001b,'],
  ['JSON a hundred levels deep', 1002, `42["a",${nested(100)}]`],
  ['JSON that only opens', 1002, `42["a",${'['.repeat(200000)}`],
];

/** Somebody in a room of the attacker's tenant. */
async function member(scene, more = {}) {
  const room = `room-${randomUUID()}`;
  const session = await scene.session({ bams: [room], ...more });
  const joined = await scene.ask(session.wire, 'join-bam', room);
  assert.equal(joined.success, true, JSON.stringify(joined));
  return { ...session, room, ask: (...args) => scene.ask(session.wire, ...args) };
}

export const SOCKETIO_ROWS = [
  {
    row: 'an event before CONNECT: 1002',
    async run(scene) {
      const wire = await scene.engine();
      wire.text('42["send-message",{}]');
      await scene.closes(wire, 1002);
    },
  },
  {
    row: 'malformed packets, bad placeholders, reserved names, names too long: closed',
    async run(scene) {
      for (const [what, code, packet] of MALFORMED) {
        const { wire } = await scene.session();
        wire.text(packet);
        await scene.closes(wire, code).catch((error) => assert.fail(`${what}: ${error.message}`));
      }
    },
  },
  {
    row: 'thousands of namespaces: refused, then 1008',
    async run(scene) {
      const { wire } = await scene.session();
      for (let n = 0; n < 2000 && !wire.tcp.destroyed; n += 1) wire.text(`40/n${n},`);
      await scene.closes(wire, 1008);
      assert.ok(wire.frames.all.filter(({ text }) => text.startsWith('44/')).length > 0, 'some were refused first');
    },
  },
  {
    row: 'thousands of rooms: 128 are taken, then INVALID_STATE',
    async run(scene) {
      const rooms = Array.from({ length: 200 }, (_, n) => `${randomUUID().slice(0, 8)}-${n}`);
      const session = await scene.session({ bams: rooms });
      let entered = 0;
      for (const room of rooms) {
        const answer = await scene.ask(session.wire, 'join-bam', room);
        if (answer.success) entered += 1;
        else assert.ok(['INVALID_STATE', 'RATE_LIMITED'].includes(answer.error.code), answer.error.code);
      }
      assert.ok(entered >= 120 && entered <= 128, String(entered));
      session.wire.end();
    },
  },
  {
    row: 'a token that names thousands of rooms: refused',
    async run(scene) {
      const wire = await scene.engine();
      const answer = await scene.connect(wire, { token: scene.token({ bams: Array.from({ length: 1025 }, (_, n) => n) }) });
      assert.match(answer, /^44.*TOKEN_INVALID/);
      wire.end();
    },
  },
  {
    row: 'rooms with names too long or with control characters: INVALID_PAYLOAD',
    async run(scene) {
      const session = await scene.session({ bams: ['x'.repeat(300)] });
      for (const room of ['x'.repeat(300), 'a\u0000b', 'a\nb', '\u001b[31m', '', null, {}, []]) {
        const answer = await scene.ask(session.wire, 'join-bam', room);
        assert.deepEqual([answer.success, answer.error?.code], [false, 'INVALID_PAYLOAD'], JSON.stringify(room));
      }
      session.wire.end();
    },
  },
  {
    row: 'a flood of events: RATE_LIMITED',
    async run(scene) {
      const { wire, room } = await member(scene);
      for (let n = 0; n < 1000; n += 1) wire.text(`421${n}["typing-start","${room}"]`);
      // Which one it is depends on how long a busy machine lets the allowance grow again.
      const refused = await scene.next(wire, 'a refusal', (text) => text.startsWith('431') && !text.endsWith('[{"success":true}]'));
      assert.match(refused, /"RATE_LIMITED".*"retryAfterMs":[1-9]/);
      wire.end();
    },
  },
  {
    row: 'a flood of events that want no ack: RATE_LIMITED',
    async run(scene) {
      const { wire, room } = await member(scene);
      for (let n = 0; n < 1000; n += 1) wire.text(`42["typing-start","${room}"]`);
      await scene.next(wire, 'the event error', (text) => text.startsWith('42["error"') && text.includes('RATE_LIMITED'));
      wire.end();
    },
  },
  {
    row: 'numbers beyond range: refused or kept, never a panic',
    async run(scene) {
      const { wire, ask, room } = await member(scene);
      for (const number of ['1e999', '-1e999', '9'.repeat(400), '1e-999', '-0', '18446744073709551616']) {
        wire.text(`427["get-messages",{"bamId":"${room}","limit":${number}}]`);
        await scene.next(wire, `an answer to ${number}`, (text) => text.startsWith('437['));
      }
      assert.equal((await ask('send-message', { bamId: room, content: 'still here' })).success, true);
      wire.end();
    },
  },
  {
    row: '__proto__ and constructor: plain data, merged into nothing',
    async run(scene) {
      const { wire, ask, room } = await member(scene);
      wire.text(`428["send-message",{"bamId":"${room}","content":"x","__proto__":{"role":"admin","content":"y"},"constructor":{"prototype":{"a":1}}}]`);
      const answer = JSON.parse((await scene.next(wire, 'the ack', (text) => text.startsWith('438['))).slice(3))[0];
      assert.equal(answer.success, true, JSON.stringify(answer));
      assert.equal(answer.message.content, 'x');
      assert.equal((await ask('send-message', { bamId: room, content: 'z' })).message.role, undefined);
      wire.end();
    },
  },
  {
    row: 'a sender or presence of somebody else in a payload: ignored, the server says who it was',
    async run(scene) {
      const { wire, ask, room } = await member(scene, { sub: 'mallory', name: 'Mallory' });
      const spoof = { bamId: room, content: 'x', sender: { id: 'admin', name: 'Admin' }, senderId: 'admin', userId: 'admin', from: 'admin', tenant: 'other' };
      const { message } = await ask('send-message', spoof);
      assert.deepEqual([message.sender.id, message.sender.name], ['mallory', 'Mallory']);
      assert.equal(JSON.stringify(message).includes('admin'), false, JSON.stringify(message));
      wire.end();
    },
  },
  {
    row: 'markup in messages: text to the letter, as JSON that no browser runs',
    async run(scene) {
      const { wire, ask, room, token } = await member(scene);
      const content = '<img src=x onerror=alert(1)></script><script>alert(1)</script>';
      assert.equal((await ask('send-message', { bamId: room, content })).message.content, content);
      const { status, headers, body } = await scene.request('GET', `/bams/${room}/messages`, { bearer: token });
      assert.deepEqual([status, headers['content-type'], headers['x-content-type-options']], [200, 'application/json', 'nosniff']);
      assert.equal(body.messages[0].content, content);
      wire.end();
    },
  },
];
