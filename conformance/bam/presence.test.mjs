//! Presence and typing: who is told, how often, what ends by itself, what a short absence does not show.

import test from 'node:test';
import assert from 'node:assert/strict';
import { GRACE_MS, SLACK_MS, TYPING_MS, URL_OF_BAM, World, assertRefusal, assertTime, promised, unique } from '../lib/bam.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { connected, own } from '../lib/stock.mjs';
import { pause } from '../lib/wait.mjs';

/** Until an absence would have been told. */
const afterTheGrace = () => pause(GRACE_MS + SLACK_MS);

/** Alice, and what it takes to put Bob behind a proxy. */
async function besideAProxy(t) {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const proxy = await Proxy.to(URL_OF_BAM);
  t.after(() => proxy.close());
  return { world, alice, proxy };
}

const updatesOf = (member, id) => member.all('presence-update').filter((update) => update.userId === id);

test('a change of status is told to those who share a room, and not to oneself', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const stranger = await world.connect(world.person('Eve', { bams: [] }));
  for (const status of ['away', 'busy', 'online']) {
    const answer = await alice.ok('status-change', status);
    assert.equal(answer.status, status);
    const update = await bob.nextWhere('presence-update', (data) => data.status === status && data.userId === alice.id);
    assert.deepEqual(Object.keys(update).filter((key) => key !== 'customStatus').sort(), ['lastSeen', 'status', 'userId', 'userName']);
    assert.equal(update.userName, 'Alice');
    assertTime(update.lastSeen);
  }
  const laptop = await world.enter(alice);
  await laptop.ok('status-change', 'busy');
  await alice.ok('status-change', 'busy');
  await bob.nextWhere('presence-update', (data) => data.status === 'busy');
  for (const other of [alice, laptop, stranger]) {
    await other.settled();
    assert.deepEqual(updatesOf(other, alice.id), [], `${other.name} is told nothing`);
  }
});

test('two who share several rooms are told once', async (t) => {
  const world = new World(t);
  const rooms = [world.bam, unique('bam'), unique('bam')];
  const alice = await world.connect(world.person('Alice', { bams: rooms }));
  const bob = await world.connect(world.person('Bob', { bams: rooms }));
  for (const room of rooms) {
    await alice.join(room);
    await bob.join(room);
  }
  await alice.ok('status-change', 'busy');
  await bob.nextWhere('presence-update', (data) => data.userId === alice.id && data.status === 'busy');
  await bob.settled();
  assert.equal(updatesOf(bob, alice.id).filter((update) => update.status === 'busy').length, 1);
});

test('who comes into a room sees the status that others have set', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  await alice.ok('status-change', 'busy');
  const bob = await world.enter('Bob');
  assert.equal(bob.joined.onlineUsers.find((user) => user.userId === alice.id).status, 'busy');
});

for (const status of ['sleeping', '', null, 5, {}, undefined]) {
  test(`status-change to ${JSON.stringify(status) ?? 'nothing'} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const alice = await world.connect('Alice');
    const answer = status === undefined ? await alice.ask('status-change') : await alice.ask('status-change', status);
    assertRefusal(answer, 'INVALID_PAYLOAD');
  });
}

test('a lost link shorter than the grace is not seen by anybody', async (t) => {
  const { world, alice, proxy } = await besideAProxy(t);
  const bob = await world.enter('Bob', { url: proxy.url });
  await alice.next('user-joined-bam');
  const gone = own(bob.socket, 'disconnect');
  proxy.cut();
  await gone;
  await connected(bob.socket);
  await afterTheGrace();
  await alice.settled();
  assert.deepEqual(alice.all('user-left-bam'), []);
  assert.equal(alice.all('user-joined-bam').length, 1);
  assert.deepEqual(updatesOf(alice, bob.id).filter((update) => update.status === 'offline'), []);
});

test('a lost link longer than the grace is an absence: left and offline, once each, after the grace', async (t) => {
  const { world, alice, proxy } = await besideAProxy(t);
  const bob = await world.enter('Bob', { url: proxy.url });
  await alice.next('user-joined-bam');
  proxy.refuse();
  const began = Date.now();
  proxy.cut();
  assert.deepEqual(await alice.next('user-left-bam', GRACE_MS + 2 * SLACK_MS), { bamId: world.bam, userId: bob.id, userName: 'Bob' });
  const waited = Date.now() - began;
  assert.ok(waited >= GRACE_MS - 200, `already after ${waited} ms`);
  const update = await alice.nextWhere('presence-update', (data) => data.userId === bob.id && data.status === 'offline');
  assert.equal(update.userName, 'Bob');
  await alice.settled();
  assert.equal(alice.all('user-left-bam').length, 1);
});

test('losing one of two devices is no absence', async (t) => {
  const { world, alice, proxy } = await besideAProxy(t);
  const person = world.person('Bob');
  await world.enter(person, { url: proxy.url });
  await world.enter(person);
  proxy.refuse();
  proxy.cut();
  await afterTheGrace();
  await alice.settled();
  assert.deepEqual(alice.all('user-left-bam'), []);
});

test('typing is told to the others, starts once and stops once', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const laptop = await world.enter(alice);
  await alice.socket.emit('typing-start', world.bam);
  assert.deepEqual(await bob.next('typing-status'), { bamId: world.bam, userId: alice.id, userName: 'Alice', isTyping: true });
  alice.socket.emit('typing-stop', world.bam);
  assert.deepEqual(await bob.next('typing-status'), { bamId: world.bam, userId: alice.id, userName: 'Alice', isTyping: false });
  for (const own of [alice, laptop]) {
    await own.settled();
    assert.deepEqual(own.all('typing-status'), []);
  }
});

test('typing ends by itself after five seconds', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  alice.socket.emit('typing-start', world.bam);
  assert.equal((await bob.next('typing-status')).isTyping, true);
  const began = Date.now();
  assert.equal((await bob.next('typing-status', TYPING_MS + 2 * SLACK_MS)).isTyping, false);
  const waited = Date.now() - began;
  assert.ok(waited >= TYPING_MS - 500, `already after ${waited} ms`);
});

test('typing ends with the message, and with the link', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  alice.socket.emit('typing-start', world.bam);
  assert.equal((await bob.next('typing-status')).isTyping, true);
  await alice.say(world.bam, 'done');
  assert.equal((await bob.next('typing-status', 2000)).isTyping, false);
  alice.socket.emit('typing-start', world.bam);
  assert.equal((await bob.next('typing-status', 5000)).isTyping, true);
  alice.close();
  assert.equal((await bob.next('typing-status', 2000)).isTyping, false);
});

test('typing in a room that one has not joined is refused', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  await alice.refused('NOT_IN_ROOM', 'typing-start', world.bam);
  const eve = await world.connect(world.person('Eve', { bams: [] }));
  await eve.refused('NOT_A_MEMBER', 'typing-start', world.bam);
});

promised('typing that is repeated by every keystroke is told once', 'a second start restarts its timer only', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  for (let n = 0; n < 10; n += 1) await alice.ok('typing-start', world.bam);
  await alice.ok('typing-stop', world.bam);
  assert.equal((await bob.next('typing-status')).isTyping, true);
  assert.equal((await bob.next('typing-status')).isTyping, false);
});
