//! Connection state recovery with a stock client: cut links, takeovers, foreign and expired identities, offsets.
//!
//! The tests of what the reference's recovery cannot do are `promised`; the others hold for both.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, SECRET, URL_OF_BAM, World, http, promised, unique } from '../lib/bam.mjs';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { LIBRARIES, WAYS, connected, own, start } from '../lib/stock.mjs';
import { now, sign } from '../lib/token.mjs';
import { OP, Wire, frame } from '../lib/wire.mjs';
import { eventually } from '../lib/wait.mjs';

/** A member behind a proxy of its own. */
async function behindProxy(t, world, who, options = {}) {
  const proxy = await Proxy.to(URL_OF_BAM);
  t.after(() => proxy.close());
  const member = await world.enter(who, { url: proxy.url, ...options });
  return { proxy, member };
}

/** Cuts the link, does something meanwhile, and lets the client come back. */
async function absence(proxy, member, meanwhile = async () => {}) {
  proxy.refuse();
  await cutUntilGone(proxy, member.socket);
  await meanwhile();
  proxy.welcome();
  await connected(member.socket, 10000);
}

/** One Socket.IO connection over a bare socket: for a CONNECT with any pid and offset. */
async function rawConnect(auth) {
  const wire = await Wire.open(URL_OF_BAM, '/socket.io/?EIO=4&transport=websocket');
  await wire.next('the OPEN packet');
  wire.text(`40${JSON.stringify(auth)}`);
  const answer = (await wire.next('the answer to CONNECT')).text;
  return { wire, answer, body: JSON.parse(answer.slice(2)) };
}

/** The next event of a bare connection: name and arguments. */
async function rawEvent(wire) {
  for (;;) {
    const { text } = await wire.next('an event');
    if (text.startsWith('42')) return JSON.parse(text.slice(2));
  }
}

test('a client whose link was cut comes back as the same session, and gets what it missed, once and in order', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await alice.say(world.bam, 'before');
  await bob.next('new-message');
  const id = bob.socket.id;
  await absence(proxy, bob, async () => {
    for (let n = 0; n < 50; n += 1) await alice.say(world.bam, `missed ${n}`);
  });
  assert.equal(bob.socket.recovered, true);
  assert.equal(bob.socket.id, id);
  for (let n = 0; n < 50; n += 1) assert.equal((await bob.next('new-message')).content, `missed ${n}`);
  await alice.say(world.bam, 'live again');
  assert.equal((await bob.next('new-message')).content, 'live again');
  assert.equal(bob.all('new-message').length, 52);
  assert.equal(bob.all('connected').length, 1, 'a resumed session is not greeted again');
});

test('a resumed session is still in its rooms, and may go on at once', async (t) => {
  const world = new World(t);
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await absence(proxy, bob);
  assert.equal(bob.socket.recovered, true);
  assert.equal((await bob.say(world.bam, 'without joining again')).seq, 1);
});

test('a client that has received nothing but connected recovers too', async (t) => {
  const world = new World(t);
  const proxy = await Proxy.to(URL_OF_BAM);
  t.after(() => proxy.close());
  const quiet = await world.connect('Quiet', { url: proxy.url });
  assert.deepEqual(quiet.inbox.all.map((event) => event.name), ['connected']);
  const event = unique('note');
  await absence(proxy, quiet, async () => {
    await http('POST', '/websocket/notify', { token: KEY, body: { userId: quiet.id, event, data: { n: 1 } } });
  });
  assert.equal(quiet.socket.recovered, true);
  assert.deepEqual(await quiet.next(event), { n: 1 });
});

for (const [version, library] of Object.entries(LIBRARIES)) {
  for (const [way, transports] of Object.entries(WAYS)) {
    const knows = version !== 'socket.io-client 4.0';
    promised(`${version} over ${way}: ${knows ? 'recovers' : 'knows nothing of recovery, and is simply a fresh session'} after a cut`, 'a poll that is cut off may be noticed late', async (t) => {
      const world = new World(t);
      const alice = await world.enter('Alice');
      const { proxy, member: bob } = await behindProxy(t, world, 'Bob', { library, ...transports });
      await absence(proxy, bob, () => alice.say(world.bam, 'missed'));
      assert.equal(bob.socket.recovered ?? false, knows);
      if (!knows) {
        await bob.next('connected');
        await bob.join(world.bam);
        assert.equal((await bob.ok('get-messages', { bamId: world.bam })).messages.at(-1).content, 'missed');
        await alice.say(world.bam, 'live');
        await bob.nextWhere('new-message', (message) => message.content === 'live');
        return;
      }
      assert.equal((await bob.next('new-message')).content, 'missed');
      await alice.say(world.bam, 'live');
      assert.equal((await bob.next('new-message')).content, 'live');
    });
  }
}

test('many short absences in a row lose nothing', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  let sent = 0;
  for (let round = 0; round < 8; round += 1) {
    await absence(proxy, bob, async () => {
      for (let n = 0; n < 5; n += 1) await alice.say(world.bam, `${(sent += 1)}`);
    });
    assert.equal(bob.socket.recovered, true, `round ${round}`);
  }
  for (let n = 1; n <= sent; n += 1) assert.equal((await bob.next('new-message')).content, `${n}`);
});

test('every stored event carries one offset behind its data, and replayed ones do as well', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await alice.say(world.bam, 'live');
  await bob.next('new-message');
  await absence(proxy, bob, () => alice.say(world.bam, 'missed'));
  await bob.next('new-message');
  for (const { name, args } of bob.inbox.all) {
    assert.equal(args.length, 2, name);
    assert.equal(typeof args[1], 'string', name);
  }
  assert.equal(new Set(bob.inbox.all.map(({ args }) => args[1])).size, bob.inbox.all.length, 'no two events share an offset');
});

promised('a second absence right after the first, with nothing but replayed events between, recovers too', 'replayed events may be its last', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  for (let round = 0; round < 3; round += 1) {
    await absence(proxy, bob, () => alice.say(world.bam, `round ${round}`));
    assert.equal(bob.socket.recovered, true);
    assert.equal((await bob.next('new-message')).content, `round ${round}`);
  }
  assert.equal(bob.all('new-message').length, 3);
});

promised('a volatile event with text at its end does not spoil the offset', 'a trailing text becomes the offset', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  const event = unique('tick');
  await http('POST', `/websocket/bam/${world.bam}/emit`, { token: KEY, body: { event, data: 'just text', volatile: true } });
  assert.equal(await bob.next(event), 'just text');
  await absence(proxy, bob, () => alice.say(world.bam, 'missed'));
  assert.equal(bob.socket.recovered, true);
  assert.equal((await bob.next('new-message')).content, 'missed');
});

promised('private messages and what other devices sent are replayed too, and nobody else’s', 'it replays by room only', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const person = world.person('Bob');
  const { proxy, member: bob } = await behindProxy(t, world, person);
  const { proxy: hers, member: chloe } = await behindProxy(t, world, 'Chloé');
  const laptop = await world.enter(person);
  await absence(proxy, bob, () =>
    absence(hers, chloe, async () => {
      await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'for Bob', toUserId: person.id } });
      await laptop.say(world.bam, 'from my laptop');
    }),
  );
  assert.deepEqual([bob.socket.recovered, chloe.socket.recovered], [true, true]);
  assert.equal((await bob.next('new-message')).content, 'for Bob');
  assert.equal((await bob.next('new-message')).content, 'from my laptop');
  assert.equal((await chloe.next('new-message')).content, 'from my laptop');
});

promised('a client that is back before the server has noticed takes its session over', 'the session is not stored yet', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const proxy = await Proxy.to(URL_OF_BAM);
  t.after(() => proxy.close());
  const bob = await world.enter('Bob', { url: proxy.url });
  const id = bob.socket.id;
  // The client's own end goes away; the server's stays open and silent, as with a phone that changes networks.
  proxy.abandonClients();
  await own(bob.socket, 'disconnect');
  await alice.say(world.bam, 'missed');
  await connected(bob.socket);
  assert.equal(bob.socket.recovered, true);
  assert.equal(bob.socket.id, id);
  assert.equal((await bob.next('new-message')).content, 'missed');
  await alice.say(world.bam, 'live');
  assert.equal((await bob.next('new-message')).content, 'live');
  assert.equal(bob.all('new-message').length, 2);
  await alice.settled();
  assert.deepEqual(alice.all('user-left-bam'), []);
});

promised('a session that was taken over is closed, and its old connection hears and says nothing more', 'the session is not stored yet', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const person = world.person('Bob');
  const first = await rawConnect({ token: person.token });
  const [, , offset] = await rawEvent(first.wire);
  first.wire.text(`420${JSON.stringify(['join-bam', world.bam])}`);
  await alice.next('user-joined-bam');
  const second = await rawConnect({ token: person.token, pid: first.body.pid, offset });
  assert.equal(second.body.pid, first.body.pid);
  assert.equal(second.body.sid, first.body.sid);
  first.wire.text(`42${JSON.stringify(['send-message', { bamId: world.bam, content: 'from the grave' }])}`);
  await first.wire.ended;
  await alice.say(world.bam, 'alive');
  const names = [];
  for (;;) {
    const [name, data] = await rawEvent(second.wire);
    names.push(name);
    if (name === 'new-message') {
      assert.equal(data.content, 'alive');
      break;
    }
  }
  second.wire.end();
});

promised('the pid of somebody else gives a fresh session of one’s own, never theirs', 'a pid is all it asks for', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const bob = await rawConnect({ token: world.person('Bob').token });
  const [, , offset] = await rawEvent(bob.wire);
  const eve = world.person('Eve', { bams: [] });
  const thief = await rawConnect({ token: eve.token, pid: bob.body.pid, offset });
  assert.ok(thief.answer.startsWith('40{'), thief.answer);
  assert.notEqual(thief.body.pid, bob.body.pid);
  assert.notEqual(thief.body.sid, bob.body.sid);
  const [name, hello] = await rawEvent(thief.wire);
  assert.deepEqual([name, hello.userId], ['connected', eve.id]);
  bob.wire.text(`421${JSON.stringify(['join-bam', world.bam])}`);
  assert.ok((await alice.next('user-joined-bam')).userId.startsWith('bob'), 'the owner is undisturbed');
  for (const { wire } of [bob, thief]) wire.end();
});

promised('the pid of the same user in another tenant gives a fresh session, without anything of that tenant', 'it knows no tenants', async (t) => {
  const [north, south] = ['north', 'south'].map((name) => new World(t, unique(name)));
  south.bam = north.bam;
  const ids = { sub: unique('alice') };
  const first = await rawConnect({ token: north.person('Alice', ids).token });
  const [, , offset] = await rawEvent(first.wire);
  first.wire.text(`421${JSON.stringify(['join-bam', north.bam])}`);
  assert.equal((await first.wire.next('the ack of join-bam')).text.startsWith('431'), true);
  await (await north.enter('Bob')).say(north.bam, 'a secret of the north');
  await eventually('it is delivered', async () => (await rawEvent(first.wire))[0] === 'new-message');
  first.wire.end();
  const crossing = await rawConnect({ token: south.person('Alice', ids).token, pid: first.body.pid, offset });
  t.after(() => crossing.wire.end());
  assert.notEqual(crossing.body.pid, first.body.pid);
  assert.notEqual(crossing.body.sid, first.body.sid);
  assert.equal((await rawEvent(crossing.wire))[0], 'connected');
  crossing.wire.text(`421${JSON.stringify(['join-bam', south.bam])}`);
  // What would have been replayed comes before this ack.
  const { text } = await crossing.wire.next('the ack of join-bam');
  assert.ok(text.startsWith('431['), text);
  const [joined] = JSON.parse(text.slice(3));
  assert.deepEqual([joined.lastSeq, joined.onlineUsers.length], [0, 1]);
});

promised('a resume is refused when the token has expired, though the pid is good', 'it does not ask again by default', async (t) => {
  const world = new World(t);
  const person = world.person('Bob');
  const first = await rawConnect({ token: person.token });
  const [, , offset] = await rawEvent(first.wire);
  first.wire.end();
  const expired = sign({ ...person.claims, exp: now() - 60 }, SECRET);
  const { answer, body } = await rawConnect({ token: expired, pid: first.body.pid, offset });
  assert.ok(answer.startsWith('44'), answer);
  assert.deepEqual(body.data, { code: 'TOKEN_EXPIRED' });
  const none = await rawConnect({ pid: first.body.pid, offset });
  assert.deepEqual(none.body.data, { code: 'TOKEN_MISSING' });
});

for (const [what, change] of [
  ['a pid that is nonsense', () => ({ pid: 'nonsense' })],
  ['a pid of another length', ({ pid }) => ({ pid: `${pid}x` })],
  ['a pid with one letter changed', ({ pid }) => ({ pid: `${pid.slice(0, -2)}${pid.at(-2) === 'A' ? 'B' : 'A'}${pid.at(-1)}` })],
  ['a pid that is a number', () => ({ pid: 7 })],
  ['an offset that cannot be read', () => ({ offset: 'nonsense' })],
  ['an offset from the future', ({ offset }) => ({ offset: offset.replace(/\d/g, '9') })],
  ['no offset', () => ({ offset: undefined })],
  ['an offset of null', () => ({ offset: null })],
  ['an offset that is a number', () => ({ offset: 12 })],
]) {
  promised(`${what} is a fresh session, not an error`, 'some of them end the connection', async (t) => {
    const world = new World(t);
    const person = world.person('Bob');
    const first = await rawConnect({ token: person.token });
    const [, , offset] = await rawEvent(first.wire);
    first.wire.end();
    const known = { pid: first.body.pid, offset };
    const { wire, answer, body } = await rawConnect({ token: person.token, ...known, ...change(known) });
    assert.ok(answer.startsWith('40{'), answer);
    assert.notEqual(body.sid, first.body.sid);
    assert.equal((await rawEvent(wire))[0], 'connected');
    wire.end();
  });
}

promised('a removed member does not get by a resume what was said after it was removed', 'it looks at membership once', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await absence(proxy, bob, async () => {
    await alice.say(world.bam, 'before the removal');
    await http('DELETE', `/bams/${world.bam}/participants/${bob.id}`, { token: KEY });
    await alice.say(world.bam, 'after the removal');
  });
  await bob.settled();
  assert.equal(bob.all('new-message').some((message) => message.content === 'after the removal'), false);
  await bob.refused('NOT_A_MEMBER', 'send-message', { bamId: world.bam, content: 'x' });
});

promised('a room that was left is not replayed beyond the leaving', 'it replays by the rooms at the end', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await bob.ok('leave-bam', world.bam);
  await absence(proxy, bob, () => alice.say(world.bam, 'not for Bob'));
  assert.equal(bob.socket.recovered, true);
  await bob.settled();
  assert.deepEqual(bob.all('new-message'), []);
});

promised('recovery is off for clients that would hand the offset to the application, and on or off by wish', 'it is on for all', async (t) => {
  const world = new World(t);
  const { token } = world.person('Alice');
  for (const [what, headers, query, on] of [
    ['Dart', ['User-Agent: Dart/3.4 (dart:io)'], '', false],
    ['Python', ['User-Agent: Python/3.12 aiohttp/3.9'], '', false],
    ['a browser', ['User-Agent: Mozilla/5.0'], '', true],
    ['a browser that asked for none', ['User-Agent: Mozilla/5.0'], '&recovery=0', false],
    ['Dart that asked for it', ['User-Agent: Dart/3.4 (dart:io)'], '&recovery=1', true],
  ]) {
    const wire = await Wire.open(URL_OF_BAM, `/socket.io/?EIO=4&transport=websocket${query}`, headers);
    await wire.next('the OPEN packet');
    wire.text(`40${JSON.stringify({ token })}`);
    const body = JSON.parse((await wire.next('the answer to CONNECT')).text.slice(2));
    assert.equal('pid' in body, on, what);
    assert.equal((await rawEvent(wire)).length, on ? 3 : 2, what);
    wire.end();
  }
  for (const [recovery, on] of [['0', false], ['1', true], [0, false], [1, true]]) {
    const { wire, body } = await rawConnect({ token, recovery });
    assert.equal('pid' in body, on, `auth.recovery = ${JSON.stringify(recovery)}`);
    wire.end();
  }
});

promised('over polling a cut session recovers as well', 'a poll that is cut off may be noticed late', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob', { transports: ['polling'] });
  await absence(proxy, bob, () => alice.say(world.bam, 'missed'));
  assert.equal(bob.socket.recovered, true);
  assert.equal((await bob.next('new-message')).content, 'missed');
});

promised('who was not seen to leave is not announced again when it comes back', 'its rooms are restored without an event too', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const { proxy, member: bob } = await behindProxy(t, world, 'Bob');
  await alice.next('user-joined-bam');
  await absence(proxy, bob);
  await bob.settled();
  await alice.settled();
  assert.deepEqual([alice.all('user-joined-bam').length, alice.all('user-left-bam').length], [1, 0]);
});

test('a client that closes on purpose and opens again is a fresh session', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  const id = alice.socket.id;
  alice.socket.disconnect();
  alice.socket.connect();
  await connected(alice.socket);
  assert.equal(alice.socket.recovered, false);
  assert.notEqual(alice.socket.id, id);
  const { socket } = start(URL_OF_BAM, { transports: ['websocket'], auth: { token: alice.token } });
  t.after(() => socket.close());
  await connected(socket);
  await eventually('another session of its own', () => socket.id !== alice.socket.id);
});

test('a close frame from the client ends its connection with an answer', async (t) => {
  const world = new World(t);
  const { wire } = await rawConnect({ token: world.person('Alice').token });
  wire.send(frame(OP.close, Buffer.from([0x03, 0xe8])));
  await wire.ended;
});
