//! Sessions of the plain JSON WebSocket that come back: after a cut, after kill -9, before the server noticed, in the middle of a record.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { freePort } from '../lib/process.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually } from '../lib/wait.mjs';
import { House, unique } from './house.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
let server;
let dens;

before(async () => {
  const fast = { RELAIS_EVENTS_PER_SECOND_MAX: '0', WS_PORT: String(await freePort()) };
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'classroom', ...fast });
  dens = await relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'den' });
});
after(() => Promise.all([server.remove(), dens.remove()]));

/** Two in a class of their own; the second joined by an event, not by its address. */
async function pair(t) {
  const house = new House(t, server);
  const roomId = unique('class');
  const claims = (name) => ({ sub: unique(name), rooms: [roomId] });
  const ada = await house.enter(`/ws/chat/${roomId}/`, claims('ada'));
  const ben = await house.enter('/ws/chat/', claims('ben'));
  await ben.ok('join_room', { roomId });
  const say = (content) => ada.ok('send_message', { roomId, content });
  const contents = (client) => client.all('message').map(({ data }) => data.content);
  return { house, roomId, ada, ben, say, contents };
}

test('a session that was cut off comes back as itself and is given what it missed, once, in order, and then what is new', async (t) => {
  const { house, roomId, ben, say, contents } = await pair(t);
  await say('seen');
  await ben.next('message');
  await ben.cut();
  for (let n = 0; n < 300; n += 1) await say(`missed ${n}`);
  const back = await house.back(ben);
  assert.equal(back.hello.resumed, true);
  assert.equal(back.hello.sessionId, ben.hello.sessionId);
  assert.deepEqual(back.hello.rooms, [roomId]);
  await say('new');
  await back.next('message', ({ content }) => content === 'new');
  assert.deepEqual(contents(back), [...Array.from({ length: 300 }, (_, n) => `missed ${n}`), 'new']);
  const positions = back.all('message').map(({ position }) => position);
  assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
  await back.ok('send_message', { roomId, content: 'and it may still send' });
});

test('the same after kill -9 and a restart, and again', async (t) => {
  const { house, roomId, ada, ben, contents } = await pair(t);
  let [sender, reader] = [ada, ben];
  const seen = [];
  for (let kill = 1; kill <= 3; kill += 1) {
    const acked = [];
    // Until the link is gone, with which its last ack is too.
    (async () => {
      for (let n = 0; ; n += 1) {
        const { message } = await sender.ok('send_message', { roomId, content: `${kill}.${n}` });
        acked.push(message.content);
      }
    })().catch(() => {});
    await eventually('messages flow', () => acked.length > 20);
    await server.program.kill();
    await Promise.all([sender.end(), reader.end()]);
    await server.program.start();
    const before = contents(reader);
    [sender, reader] = [await house.back(sender), await house.back(reader)];
    assert.deepEqual([sender.hello.resumed, reader.hello.resumed], [true, true]);
    await sender.ok('send_message', { roomId, content: `back ${kill}` });
    await reader.next('message', ({ content }) => content === `back ${kill}`);
    seen.push(...before, ...contents(reader));
    reader.inbox.all = reader.inbox.all.filter(({ type }) => type !== 'message');
    const own = seen.filter((content) => content.startsWith(`${kill}.`));
    assert.deepEqual(own.slice(0, acked.length), acked, 'every acked one, once, in order');
    assert.equal(new Set(own).size, own.length);
  }
});

test('a client that is back before its link was seen to end takes the session over', async (t) => {
  const { house, ben, say, contents } = await pair(t);
  const back = await house.back(ben);
  assert.equal(back.hello.resumed, true);
  assert.deepEqual(await ben.end(), { code: 1000, reason: 'taken over' });
  await say('for the newer one');
  await back.next('message');
  assert.deepEqual([contents(ben), contents(back)], [[], ['for the newer one']]);
});

test('the same over a link that is dead and was never closed', async (t) => {
  const { house, say, contents, roomId } = await pair(t);
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  const dead = await house.enter('/ws/chat/', { sub: unique('dead'), rooms: [roomId] }, { url: proxy.url });
  await dead.ok('join_room', { roomId });
  proxy.stall();
  await say('into the void');
  const back = await house.back(dead);
  assert.equal(back.hello.resumed, true);
  await back.next('message');
  assert.deepEqual(contents(back), ['into the void']);
});

test('of a record that becomes several events, a client that saw some is given the rest', async (t) => {
  const house = new House(t, dens);
  const denId = unique('den');
  const reader = await house.enter(`/live/${denId}/now`, { sub: 'reader', tenant: 'a' });
  const writer = await house.enter(`/live/${denId}/now`, { sub: 'writer', tenant: 'a' });
  await writer.ok('say', { denId, text: 'both' });
  const [first, second] = [await reader.frame('first'), await reader.frame('second')];
  assert.ok(first.position < second.position && !Number.isInteger(first.position) && Number.isInteger(second.position));
  const after = async (position) => {
    const back = await house.back(reader, { query: { after: position } });
    assert.equal(back.hello.resumed, true);
    // What is sent to it after the replay has come after it.
    await back.ok('say', { denId, text: 'end' });
    await back.next('second', ({ text }) => text === 'end');
    const heard = back.inbox.all.filter(({ type, data }) => ['first', 'second'].includes(type) && data.text === 'both');
    return heard.map(({ type }) => type);
  };
  assert.deepEqual(await after(first.position), ['second']);
  assert.deepEqual(await after(second.position), []);
  assert.deepEqual(await after(second.position - 1), ['first', 'second']);
});

test('a resume that cannot be is a fresh session, never an error', async (t) => {
  const { house, ben, say, contents, roomId } = await pair(t);
  await say('before');
  await ben.next('message');
  const other = await house.enter('/ws/chat/', { sub: unique('other'), rooms: [roomId] });
  const cases = {
    'no after': { after: undefined },
    'an after that is none': { after: 'soon' },
    'a negative one': { after: -1 },
    'beyond the end': { after: 99999999 },
    'a foreign session': { resume: other.hello.sessionId },
    'a changed one': { resume: `${ben.hello.sessionId}x` },
    'rubbish': { resume: 'x'.repeat(3000) },
    'nothing': { resume: '' },
  };
  for (const [name, query] of Object.entries(cases)) {
    const back = await house.back(ben, { query });
    assert.equal(back.hello.resumed, false, name);
    assert.notEqual(back.hello.sessionId, ben.hello.sessionId, name);
    assert.deepEqual(back.hello.rooms, [], name);
    assert.deepEqual(contents(back), [], name);
  }
});

test('the session alone opens nothing: a resume proves the token again', async (t) => {
  const { house, ben } = await pair(t);
  const query = { resume: ben.hello.sessionId, after: ben.position };
  const bare = house.open('/ws/chat/', query);
  assert.deepEqual(await bare.end(), { code: 1008, reason: 'TOKEN_MISSING' });
  const expired = house.open('/ws/chat/', { ...query, token: house.token({ ...ben.claims, exp: 1000 }) });
  assert.deepEqual(await expired.end(), { code: 1008, reason: 'TOKEN_EXPIRED' });
  const thief = await house.enter('/ws/chat/', { sub: unique('thief'), rooms: ben.claims.rooms }, { query });
  assert.equal(thief.hello.resumed, false);
  assert.equal(ben.socket.readyState, 1, 'and the session itself goes on');
});

test('what is shown to others never has the session in it', async (t) => {
  const { house, ada, ben, say } = await pair(t);
  await say('x');
  await ben.next('message');
  await ben.cut();
  const back = await house.back(ben);
  await back.ok('send_message', { roomId: ben.claims.rooms[0], content: 'y' });
  await ada.next('message', ({ content }) => content === 'y');
  const heard = JSON.stringify(ada.inbox.all);
  assert.equal(heard.includes(ben.hello.sessionId), false);
  assert.equal(heard.includes(ben.hello.sessionId.split('.')[0]), false);
});

test('who left for good begins anew, and a room that was left before the cut stays left', async (t) => {
  const { house, roomId, ben, say, contents } = await pair(t);
  await ben.ok('leave_room', { roomId });
  await ben.cut();
  await say('unheard');
  const back = await house.back(ben);
  assert.equal(back.hello.resumed, true);
  await back.ok('ping');
  assert.deepEqual([back.hello.rooms, contents(back)], [[], []]);
  back.close(1000);
  await back.end();
  const again = await house.back(back);
  assert.equal(again.hello.resumed, false);
});
