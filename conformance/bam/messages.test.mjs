//! Sending: what a message looks like to everybody, what is refused and how, temporary ids, order.

import test from 'node:test';
import assert from 'node:assert/strict';
import { World, assertTime, http, promised, unique } from '../lib/bam.mjs';
import { LIBRARIES, WAYS, ask } from '../lib/stock.mjs';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('a message reaches the whole room, its sender included, and everybody sees the same', async (t) => {
  const world = new World(t);
  const [alice, bob, chloe] = await world.room('Alice', 'Bob', 'Chloé');
  const tempId = unique('temp');
  const sent = await alice.say(world.bam, 'Hello world!', { type: 'text', tempId });
  for (const member of [alice, bob, chloe]) assert.deepEqual(await member.next('new-message'), sent);
  const { id, createdAt, ...rest } = sent;
  assert.deepEqual(rest, {
    bamId: world.bam,
    content: 'Hello world!',
    type: 'text',
    tempId,
    seq: 1,
    sender: { id: alice.id, name: 'Alice' },
  });
  assert.equal(typeof id, 'string');
  assertTime(createdAt);
});

promised('ids that the server makes are UUIDv7', 'it makes version 4', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  assert.match((await alice.say(world.bam, 'x')).id, UUID7);
});

test('type is text unless said, and may be image or file', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  assert.equal((await alice.say(world.bam, 'x')).type, 'text');
  assert.equal((await alice.say(world.bam, 'x', { type: 'image' })).type, 'image');
  assert.equal((await alice.say(world.bam, 'x', { type: 'file' })).type, 'file');
});

test('seq counts the messages of a room from 1, without holes, in each room by itself', async (t) => {
  const world = new World(t);
  const other = unique('bam');
  const alice = await world.enter(world.person('Alice', { bams: [world.bam, other] }));
  await alice.join(other);
  const seqs = [];
  for (let n = 0; n < 5; n += 1) {
    seqs.push((await alice.say(world.bam, `here ${n}`)).seq);
    assert.equal((await alice.say(other, `there ${n}`)).seq, n + 1);
  }
  assert.deepEqual(seqs, [1, 2, 3, 4, 5]);
});

test('what one connection sends in a row keeps its order, for everybody', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const total = 60;
  const acks = [];
  for (let n = 0; n < total; n += 1) acks.push(ask(alice.socket, 'send-message', { bamId: world.bam, content: `${n}` }));
  const answers = (await Promise.all(acks)).map(([answer]) => answer.message);
  for (let n = 0; n < total; n += 1) {
    assert.equal(answers[n].content, `${n}`);
    assert.equal(answers[n].seq, n + 1);
    for (const member of [alice, bob]) assert.deepEqual(await member.next('new-message'), answers[n]);
  }
});

test('many who send at once get one order, the same for everybody', async (t) => {
  const world = new World(t);
  const members = await world.room('Alice', 'Bob', 'Chloé', 'Dora');
  const each = 20;
  await Promise.all(members.flatMap((member) => Array.from({ length: each }, (_, n) => member.say(world.bam, `${member.name} ${n}`))));
  const orders = [];
  for (const member of members) {
    const order = [];
    for (let n = 0; n < members.length * each; n += 1) order.push(await member.next('new-message'));
    orders.push(order);
  }
  assert.deepEqual(orders[0].map((message) => message.seq), Array.from({ length: members.length * each }, (_, n) => n + 1));
  for (const order of orders.slice(1)) assert.deepEqual(order, orders[0]);
});

test('text is kept to the letter: markup, every script, line breaks, quotes', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  for (const content of ['<script>alert(1)</script>', 'é €  😀 👩‍👩‍👧 العربية', 'a\nb\tc "d" \\ \u2028', '{"json":true}', '   ', '\u001b[31mred']) {
    await alice.say(world.bam, content);
    assert.equal((await bob.next('new-message')).content, content);
  }
});

test('content may have 4000 characters, whatever they weigh, and not one more', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  for (const character of ['x', '€', '😀']) {
    assert.equal((await alice.say(world.bam, character.repeat(4000))).content.length, 4000 * character.length);
    await alice.refused('INVALID_PAYLOAD', 'send-message', { bamId: world.bam, content: character.repeat(4001) });
  }
});

for (const [what, payload] of [
  ['no content', {}],
  ['empty content', { content: '' }],
  ['content that is a number', { content: 5 }],
  ['content that is null', { content: null }],
  ['content that is an object', { content: { text: 'x' } }],
  ['an unknown type', { content: 'x', type: 'video' }],
  ['a type that is a number', { content: 'x', type: 1 }],
  ['a tempId that is a number', { content: 'x', tempId: 7 }],
  ['an empty tempId', { content: 'x', tempId: '' }],
]) {
  test(`send-message with ${what} is INVALID_PAYLOAD, and sends nothing`, async (t) => {
    const world = new World(t);
    const alice = await world.enter('Alice');
    await alice.refused('INVALID_PAYLOAD', 'send-message', { bamId: world.bam, ...payload });
    assert.equal((await alice.say(world.bam, 'after')).seq, 1);
  });
}

for (const [what, args] of [
  ['no argument', []],
  ['null', [null]],
  ['a text', ['hello']],
  ['a list', [[1]]],
  ['no bamId', [{ content: 'x' }]],
]) {
  test(`send-message with ${what} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const alice = await world.enter('Alice');
    await alice.refused('INVALID_PAYLOAD', 'send-message', ...args);
  });
}

test('fields that nobody knows are ignored, and a claimed sender is not believed', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  await alice.say(world.bam, 'x', { sender: { id: bob.id, name: 'Bob' }, seq: 99, id: 'mine', createdAt: '1999', colour: 'blue', toUserId: 5 });
  const got = await bob.next('new-message');
  assert.deepEqual(got.sender, { id: alice.id, name: 'Alice' });
  assert.equal(got.seq, 1);
  assert.notEqual(got.id, 'mine');
  assert.equal('colour' in got, false);
});

test('a payload with __proto__ changes nobody but itself', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const payload = JSON.parse(`{"bamId":"${world.bam}","content":"x","__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`);
  const answer = await alice.ask('send-message', payload);
  if (answer.success) assert.equal(answer.message.admin, undefined);
  assert.equal((await alice.say(world.bam, 'after')).admin, undefined);
});

test('an event that nobody declared is UNKNOWN_EVENT, with an ack and without', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  await alice.refused('UNKNOWN_EVENT', 'make-coffee', { strong: true });
  alice.socket.emit('make-tea');
  const error = await alice.next('error');
  assert.equal(error.success, false);
  assert.equal(error.error.code, 'UNKNOWN_EVENT');
  assert.equal(error.event, 'make-tea');
});

test('a refusal without an ack to carry it is the event error, with the name of what was refused', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  alice.socket.emit('send-message', { bamId: world.bam, content: 'x' });
  const error = await alice.next('error');
  assert.equal(error.event, 'send-message');
  assert.equal(error.error.code, 'NOT_IN_ROOM');
  assert.equal(error.error.retryable, false);
});

test('the same tempId gives the same message and the same ack, and no second event', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const payload = { bamId: world.bam, content: 'once', tempId: unique('temp') };
  const first = await alice.ok('send-message', payload);
  const second = await alice.ok('send-message', payload);
  assert.deepEqual(second, first);
  await alice.say(world.bam, 'after');
  assert.equal((await bob.next('new-message')).content, 'once');
  assert.equal((await bob.next('new-message')).content, 'after');
  assert.equal(first.message.seq, 1);
});

test('the same tempId twice at once is still one message', async (t) => {
  const world = new World(t);
  const person = world.person('Alice');
  const phone = await world.enter(person);
  const laptop = await world.enter(person);
  const payload = { bamId: world.bam, content: 'once', tempId: unique('temp') };
  const answers = await Promise.all([phone, laptop, phone, laptop].map((device) => device.ok('send-message', payload)));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal((await phone.say(world.bam, 'after')).seq, 2);
});

test('a tempId of socket and of HTTP is the same tempId', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const tempId = unique('temp');
  const bySocket = await alice.say(world.bam, 'once', { tempId });
  const byHttp = await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'once', tempId } });
  assert.equal(byHttp.status, 201);
  assert.deepEqual(byHttp.body, bySocket);
  assert.equal((await alice.say(world.bam, 'after')).seq, 2);
});

test('the same tempId with another body is IDEMPOTENCY_CONFLICT', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const tempId = unique('temp');
  await alice.say(world.bam, 'one', { tempId });
  await alice.refused('IDEMPOTENCY_CONFLICT', 'send-message', { bamId: world.bam, content: 'two', tempId });
  await alice.refused('IDEMPOTENCY_CONFLICT', 'send-message', { bamId: world.bam, content: 'one', type: 'image', tempId });
  const byHttp = await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'two', tempId } });
  assert.equal(byHttp.status, 409);
  assert.equal(byHttp.body.code, 'IDEMPOTENCY_CONFLICT');
});

test('a tempId is one user’s in one room: others use the same freely', async (t) => {
  const world = new World(t);
  const other = unique('bam');
  const alice = await world.enter(world.person('Alice', { bams: [world.bam, other] }));
  const bob = await world.enter('Bob');
  await alice.join(other);
  const tempId = unique('temp');
  const messages = [
    await alice.say(world.bam, 'by Alice', { tempId }),
    await bob.say(world.bam, 'by Bob', { tempId }),
    await alice.say(other, 'elsewhere', { tempId }),
  ];
  assert.equal(new Set(messages.map((message) => message.id)).size, 3);
});

test('a client with retries sends again what was not acknowledged, and it is one message', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice', { retries: 5, ackTimeout: 2000 });
  await alice.socket.emitWithAck('join-bam', world.bam);
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => new Promise((resolve, reject) => {
      alice.socket.emit('send-message', { bamId: world.bam, content: `${n}`, tempId: unique('temp') }, (error, answer) => (error ? reject(error) : resolve(answer)));
    })),
  );
  assert.deepEqual(answers.map((answer) => answer.message.seq), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

for (const [version, library] of Object.entries(LIBRARIES)) {
  for (const [way, transports] of Object.entries(WAYS)) {
    test(`two people talk over ${way} with ${version}`, async (t) => {
      const world = new World(t);
      const alice = await world.enter('Alice', { library, ...transports });
      const bob = await world.enter('Bob', { library, ...transports });
      await alice.say(world.bam, 'hello Bob');
      assert.equal((await bob.next('new-message')).content, 'hello Bob');
      await bob.say(world.bam, 'hello Alice');
      await alice.nextWhere('new-message', (message) => message.content === 'hello Alice');
    });
  }
}

test('mark-read tells the room how far somebody has read', async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const { seq } = await alice.say(world.bam, 'read me');
  await bob.ok('mark-read', { bamId: world.bam, seq });
  assert.deepEqual(await alice.next('messages-read'), { bamId: world.bam, userId: bob.id, seq });
  for (const bad of [undefined, 'one', -1, 1.5, null]) await bob.refused('INVALID_PAYLOAD', 'mark-read', { bamId: world.bam, seq: bad });
});
