//! Hostile input over the plain JSON WebSocket: frames of WebSocket and of ours, floods, tokens, sessions of somebody else, rooms of the address.
//!
//! Each row: what is sent, what must happen, and `run(scene)`, which fails when something else happens. The app is `classroom`.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { OP, frame, handshake } from '../lib/wire.mjs';
import { FOREIGN, badTokens } from './identity.rows.mjs';
import { BAD_TEXT, BROKEN_FRAMES, MIB, pour } from './wire.rows.mjs';

const PATH = '/classroom/ws/chat/';
const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);

/** Messages that are no frame of ours: `error` with INVALID_PAYLOAD, and the connection stays. */
const UNREADABLE = [
  '', ' ', 'null', '7', '"ping"', '[]', '["ping"]', '{}', '{"type":7}', '{"type":null,"data":{}}', '{"type":"ping"', '{"type":"ping"}x',
  "{'type':'ping'}", '{"type":"ping","id":[1]}', '{"type":"ping","id":{}}', `{"type":"ping","id":"${'x'.repeat(300)}"}`, `{"type":"${'x'.repeat(300)}"}`,
  '{"type":"pi\\u0000ng"}', `{"type":"ping","data":${nested(100)}}`, '{"type":"ping","data":'.padEnd(200000, '['), '\ufeff{"type":"ping"}',
];

/** What is no payload of `send_message`, beside the room. */
const BAD_MESSAGES = [{}, { content: '' }, { content: 7 }, { content: 'x'.repeat(4001) }, { content: 'x', tempId: 7 }, { content: 'x', replyTo: 'x' }, { content: { $ne: null } }];

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined));

/** A connection that has been told who it is; `after` goes behind the token in the address. */
async function entered(scene, claims = {}, { path = PATH, ...after } = {}) {
  const token = scene.token(claims);
  const wire = await scene.wire(`${path}?${query({ token, ...after })}`);
  const hello = await next(scene, wire, 'connected');
  scene.keep(hello.data.sessionId);
  return { wire, token, hello: hello.data, position: hello.position };
}

/** The next frame of a type. */
async function next(scene, wire, type, fits = () => true) {
  const text = await scene.next(wire, type, (one) => {
    const read = JSON.parse(one);
    return read.type === type && fits(read);
  });
  return JSON.parse(text);
}

/** Sends with an id, and gives the ack's data. */
async function ask(scene, wire, type, data) {
  const id = randomUUID();
  wire.text(JSON.stringify({ type, data, id }));
  return (await next(scene, wire, 'ack', (one) => one.id === id)).data;
}

/** The close frame, with its reason. */
async function refused(scene, path, reason) {
  const wire = await scene.wire(path);
  await scene.closes(wire, 1008);
  const close = wire.frames.all.find(({ opcode }) => opcode === OP.close);
  assert.equal(close.payload.subarray(2).toString(), reason);
}

export const PLAIN_ROWS = [
  {
    row: 'plain: broken frames 1002, text that is not UTF-8 1007, a size over the limit 1009, floods of control frames 1008',
    async run(scene) {
      const floods = [frame(OP.ping, 'x'.repeat(125)), frame(OP.pong, '')].map((one) => [1008, () => Array.from({ length: 500 }, () => one)]);
      const sizes = [MIB + 1, 2 ** 31, 2 ** 53 - 1].map((length) => [1009, () => [frame(OP.text, '', { length })]]);
      const all = [...BROKEN_FRAMES.map(([, frames]) => [1002, frames]), ...BAD_TEXT.map(([, frames]) => [1007, frames]), ...sizes, ...floods];
      for (const [code, frames] of all) {
        const { wire } = await entered(scene);
        wire.send(...frames());
        await scene.closes(wire, code);
      }
    },
  },
  {
    row: 'plain: endless fragments of one byte, of nothing and of much: 1009',
    async run(scene) {
      for (const [payload, times] of [['x', 500], ['', 500], ['x'.repeat(65536), 1]]) {
        const { wire } = await entered(scene);
        wire.send(frame(OP.text, '{', { fin: false }));
        const pouring = pour(wire, Buffer.concat(Array.from({ length: times }, () => frame(OP.continuation, payload, { fin: false }))), 100);
        await scene.closes(wire, 1009);
        await pouring;
      }
    },
  },
  {
    row: 'plain: messages that are no frame, too deep or binary: INVALID_PAYLOAD each, and the connection stays',
    async run(scene) {
      const { wire } = await entered(scene);
      for (const text of UNREADABLE) {
        wire.text(text);
        assert.equal((await next(scene, wire, 'error')).data.code, 'INVALID_PAYLOAD', text.slice(0, 60));
      }
      wire.send(frame(OP.binary, Buffer.from('{"type":"ping"}')));
      assert.equal((await next(scene, wire, 'error')).data.code, 'INVALID_PAYLOAD');
      assert.equal((await ask(scene, wire, 'ping')).success, true);
      wire.end();
    },
  },
  {
    row: 'plain: a flood of events and of what is none: RATE_LIMITED, and later all is well',
    async run(scene) {
      const { wire } = await entered(scene);
      for (const text of ['{"type":"ping"}', 'rubbish']) {
        wire.send(...Array.from({ length: 1000 }, () => frame(OP.text, text)));
        const { data } = await next(scene, wire, 'error', (one) => one.data.code === 'RATE_LIMITED');
        assert.ok(data.retryAfterMs > 0);
      }
      for (let answer; !answer?.success; ) {
        answer = await ask(scene, wire, 'ping');
        assert.ok(answer.success || answer.error.code === 'RATE_LIMITED', JSON.stringify(answer));
      }
      wire.end();
    },
  },
  {
    row: 'plain: tokens that prove nothing: accepted, and closed with 1008 and the code',
    async run(scene) {
      await refused(scene, PATH, 'TOKEN_MISSING');
      // In an address there is only text.
      for (const [, code, token] of badTokens(scene)) if (typeof token === 'string') await refused(scene, `${PATH}?${query({ token })}`, code);
    },
  },
  {
    row: 'plain: a foreign origin: 403 before it is a WebSocket',
    async run(scene) {
      for (const origin of FOREIGN) {
        const wire = await scene.tcp(handshake(`${PATH}?token=${scene.token()}`, scene.host, [`Origin: ${origin}`]));
        assert.equal((await wire.head).status, 403, origin);
        wire.end();
      }
    },
  },
  {
    row: 'plain: the session of somebody else, or none: a fresh one; with an expired token: refused',
    async run(scene) {
      const victim = await entered(scene, { sub: 'victim' });
      const { sessionId } = victim.hello;
      const strangers = [{ sub: 'mallory' }, { sub: 'victim', tenant: 'elsewhere' }];
      for (const claims of strangers) {
        const mine = await entered(scene, claims, { resume: sessionId, after: victim.position });
        assert.deepEqual([mine.hello.resumed, mine.hello.sessionId === sessionId], [false, false]);
        mine.wire.end();
      }
      const rubbish = ['', 'x', `${sessionId}x`, sessionId.slice(0, -3), 'A'.repeat(4000), '../../etc'];
      for (const [resume, after] of [...rubbish.map((one) => [one, 1]), ...['-1', '1e9', 'x', '1.0001', '99999999999999999999', '%00'].map((one) => [sessionId, one])]) {
        const fresh = await entered(scene, { sub: 'victim' }, { resume, after });
        if (resume !== sessionId) assert.equal(fresh.hello.resumed, false, resume.slice(0, 20));
        fresh.wire.end();
      }
      await refused(scene, `${PATH}?${query({ token: scene.token({ sub: 'victim', exp: 1_000_000_000 }), resume: sessionId, after: 1 })}`, 'TOKEN_EXPIRED');
      victim.wire.end();
    },
  },
  {
    row: 'plain: rooms that one is no member of, by address and by event, with names that play tricks: refused',
    async run(scene) {
      const room = `class-${randomUUID()}`;
      for (const name of [room, '..%2f..', '%00', `${room}%0a`, 'x'.repeat(300), '__proto__']) {
        const wire = await scene.wire(`${PATH}${name}/?token=${scene.token()}`).catch((error) => error);
        // An address that is none is not found; one that is, is accepted and closed.
        if (wire instanceof Error) assert.match(wire.message, /40[0-9]/, name);
        else await scene.closes(wire, 1008);
      }
      const { wire } = await entered(scene, { rooms: ['mine'] });
      for (const roomId of [room, 'mine/../x', '../mine', 'mine ', 'MINE', '__proto__']) assert.equal((await ask(scene, wire, 'join_room', { roomId })).error.code, 'NOT_A_MEMBER', roomId);
      for (const roomId of ['x'.repeat(300), 'a\u0000b', 'a\nb', '', null, {}, []]) assert.equal((await ask(scene, wire, 'join_room', { roomId })).error.code, 'INVALID_PAYLOAD');
      wire.end();
    },
  },
  {
    row: 'plain: payloads that do not fit, claims to be somebody else, unknown events: refused or ignored, and nobody hears of it',
    async run(scene) {
      const roomId = `class-${randomUUID()}`;
      const [mallory, witness] = [await entered(scene, { sub: 'mallory', role: 'student', rooms: [roomId] }), await entered(scene, { rooms: [roomId] })];
      for (const { wire } of [mallory, witness]) assert.equal((await ask(scene, wire, 'join_room', { roomId })).success, true);
      for (const bad of BAD_MESSAGES) assert.equal((await ask(scene, mallory.wire, 'send_message', { roomId, ...bad })).error.code, 'INVALID_PAYLOAD', JSON.stringify(bad).slice(0, 60));
      for (const type of ['message', 'connected', 'user_online', 'constructor', '__proto__', 'drop table']) assert.equal((await ask(scene, mallory.wire, type, {})).error.code, 'UNKNOWN_EVENT', type);
      const sender = { id: 'teacher', name: 'Teacher', role: 'teacher' };
      const { message } = await ask(scene, mallory.wire, 'send_message', { roomId, content: 'as myself', sender, seq: 99, id: 'mine', ['__proto__']: { role: 'admin' } });
      assert.deepEqual([message.sender.id, message.sender.role, message.seq], ['mallory', 'student', 1]);
      const { data } = await next(scene, witness.wire, 'message');
      assert.deepEqual(data, message, 'the first and only one');
      for (const { wire } of [mallory, witness]) wire.end();
    },
  },
  {
    row: 'plain: a link that is cut in the middle of a frame, of a head, of a join: gone, and nothing of it',
    async run(scene) {
      const roomId = `class-${randomUUID()}`;
      const { wire } = await entered(scene, { rooms: [roomId] });
      wire.text(JSON.stringify({ type: 'join_room', data: { roomId } }));
      wire.send(frame(OP.text, `{"type":"send_message","data":{"roomId":"${roomId}","content":"half`, { length: 500 }));
      wire.end();
      const head = await scene.tcp();
      head.tcp.write(`GET ${PATH}?token=${scene.token()} HTTP/1.1\r\nHost: x\r\nUpgr`);
      head.end();
      const other = await entered(scene, { rooms: [roomId] });
      assert.equal((await ask(scene, other.wire, 'join_room', { roomId })).lastSeq, 0);
      other.wire.end();
    },
  },
];
