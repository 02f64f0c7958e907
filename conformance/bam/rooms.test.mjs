//! Joining and leaving: who may, what the others are told, several devices, membership kept by the server.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, World, assertRefusal, http, unique } from '../lib/bam.mjs';

const participant = (method, bam, user) => http(method, `/bams/${bam}/participants/${user}`, { token: KEY });

test('join-bam answers with the room, who is there, and its last seq', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  assert.deepEqual(alice.joined, { success: true, bamId: world.bam, onlineUsers: alice.joined.onlineUsers, lastSeq: 0 });
  await alice.say(world.bam, 'one');
  await alice.say(world.bam, 'two');
  const bob = await world.enter('Bob');
  assert.equal(bob.joined.lastSeq, 2);
  const names = bob.joined.onlineUsers.map((user) => user.userId).sort();
  assert.deepEqual(names, [alice.id, bob.id].sort());
  const shown = bob.joined.onlineUsers.find((user) => user.userId === alice.id);
  assert.equal(shown.userName, 'Alice');
  assert.equal(shown.status, 'online');
  assert.ok('role' in shown);
});

test('the others are told who joined, the one who joined is not', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const bob = await world.enter('Bob');
  assert.deepEqual(await alice.next('user-joined-bam'), { bamId: world.bam, userId: bob.id, userName: 'Bob' });
  await bob.settled();
  assert.deepEqual(bob.all('user-joined-bam'), []);
});

test('leaving is told once, and after it nothing of the room arrives', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  assert.deepEqual(await bob.ok('leave-bam', world.bam), { success: true, bamId: world.bam });
  assert.deepEqual(await alice.next('user-left-bam'), { bamId: world.bam, userId: bob.id, userName: 'Bob' });
  await alice.say(world.bam, 'is he gone?');
  await bob.settled();
  assert.deepEqual(bob.all('new-message'), []);
  await bob.refused('NOT_IN_ROOM', 'send-message', { bamId: world.bam, content: 'I am not' });
});

test('who is not a participant may not join, and hears nothing', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const eve = await world.connect(world.person('Eve', { bams: [] }));
  await eve.refused('NOT_A_MEMBER', 'join-bam', world.bam);
  await eve.refused('NOT_A_MEMBER', 'get-messages', { bamId: world.bam });
  await alice.say(world.bam, 'secret');
  await eve.settled();
  assert.deepEqual(eve.all('new-message'), []);
});

test('a participant who has not joined may not speak, type or leave', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  await alice.refused('NOT_IN_ROOM', 'send-message', { bamId: world.bam, content: 'x' });
  await alice.refused('NOT_IN_ROOM', 'leave-bam', world.bam);
  await alice.refused('NOT_IN_ROOM', 'typing-start', world.bam);
});

test('to join again what one has joined succeeds, and nobody is told twice', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const again = await bob.join(world.bam);
  assert.equal(again.bamId, world.bam);
  await alice.settled();
  assert.equal(alice.all('user-joined-bam').length, 1);
});

test('a second device of the same user is neither announced nor missed until the last one leaves', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const person = world.person('Bob');
  const phone = await world.enter(person);
  await alice.next('user-joined-bam');
  const laptop = await world.enter(person);
  assert.equal(laptop.joined.onlineUsers.filter((user) => user.userId === person.id).length, 1, 'a user is listed once');
  await phone.ok('leave-bam', world.bam);
  await alice.settled();
  assert.equal(alice.all('user-joined-bam').length, 1);
  assert.equal(alice.all('user-left-bam').length, 0);
  await laptop.ok('leave-bam', world.bam);
  assert.equal((await alice.next('user-left-bam')).userId, person.id);
});

test('a clean disconnect is seen at once', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  bob.close();
  assert.deepEqual(await alice.next('user-left-bam', 2000), { bamId: world.bam, userId: bob.id, userName: 'Bob' });
});

test('two rooms of one session do not mix', async (t) => {
  const world = new World(t);
  const other = unique('bam');
  const alice = await world.enter(world.person('Alice', { bams: [world.bam, other] }));
  const bob = await world.enter('Bob');
  await alice.join(other);
  await alice.say(other, 'elsewhere');
  await alice.say(world.bam, 'here');
  assert.equal((await bob.next('new-message')).content, 'here');
  assert.deepEqual((await alice.next('new-message')).bamId, other);
  assert.deepEqual((await alice.next('new-message')).bamId, world.bam);
});

test('an event that arrives right behind the join is handled after it', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  alice.socket.emit('join-bam', world.bam);
  alice.socket.emit('send-message', { bamId: world.bam, content: 'without waiting' });
  assert.equal((await alice.next('new-message')).content, 'without waiting');
});

for (const [what, value] of [
  ['nothing', undefined],
  ['null', null],
  ['an object without a room', { room: 1 }],
  ['a list', ['x']],
  ['an empty text', ''],
  ['a text that is too long', 'x'.repeat(300)],
  ['true', true],
]) {
  test(`join-bam with ${what} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const alice = await world.connect('Alice');
    const answer = value === undefined ? await alice.ask('join-bam') : await alice.ask('join-bam', value);
    assertRefusal(answer, 'INVALID_PAYLOAD');
  });
}

for (const name of ['join-bam', 'send-message', 'typing-start', 'typing-stop', 'leave-bam']) {
  test(`${name} tricks with room names reach no other room`, async (t) => {
    const world = new World(t);
    const eve = await world.connect('Eve');
    for (const trick of [`../${world.bam}`, `bam-${world.bam}`, `${world.bam}\u0000`, `${world.bam} `, 'user:1', `default:${world.bam}`]) {
      const answer = await eve.ask(name, name === 'send-message' ? { bamId: trick, content: 'x' } : trick);
      assert.equal(answer.success, false, trick);
      assert.ok(['NOT_A_MEMBER', 'NOT_IN_ROOM', 'INVALID_PAYLOAD'].includes(answer.error.code), `${trick}: ${answer.error.code}`);
    }
  });
}

test('a member kept by the server may join without any claim', async (t) => {
  const world = new World(t);
  const dora = await world.connect(world.person('Dora', { bams: [] }));
  await dora.refused('NOT_A_MEMBER', 'join-bam', world.bam);
  assert.equal((await participant('PUT', world.bam, dora.id)).status, 200);
  await dora.join(world.bam);
  await dora.say(world.bam, 'in at last');
});

test('a removed member leaves the room at once, and the claim does not bring it back until it is added again', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  assert.equal((await participant('DELETE', world.bam, bob.id)).status, 200);
  assert.equal((await alice.next('user-left-bam')).userId, bob.id);
  await alice.say(world.bam, 'without Bob');
  await bob.settled();
  assert.deepEqual(bob.all('new-message'), []);
  await bob.refused('NOT_A_MEMBER', 'send-message', { bamId: world.bam, content: 'still here?' });
  await bob.refused('NOT_A_MEMBER', 'join-bam', world.bam);
  const again = await world.connect(bob);
  await again.refused('NOT_A_MEMBER', 'join-bam', world.bam);
  assert.equal((await http('GET', `/bams/${world.bam}/messages`, { token: bob.token })).status, 403);
  assert.equal((await participant('PUT', world.bam, bob.id)).status, 200);
  await again.join(world.bam);
  await again.say(world.bam, 'back');
});

test('a room claim may be a number in the token and text in the event', async (t) => {
  const world = new World(t);
  const number = Math.floor(Math.random() * 1e9);
  const alice = await world.connect(world.person('Alice', { bams: [number] }));
  assert.equal((await alice.join(String(number))).bamId, String(number));
});
