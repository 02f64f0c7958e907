//! Messages: to the wedding and to one person, channels, history, temporary ids, the limit of fifty a minute.

import test from 'node:test';
import assert from 'node:assert/strict';
import { unique } from '../lib/bam.mjs';
import { WAYS } from '../lib/stock.mjs';
import { Wedding, assertFields, assertStored } from '../lib/wedding.mjs';

const FIELDS = ['id', 'content', 'senderId', 'senderName', 'recipientId', 'channel', 'tempId', 'seq', 'createdAt'];

for (const [way, transports] of Object.entries(WAYS)) {
  test(`a message without a recipient goes to the whole wedding, the sender included: ${way}`, async (t) => {
    const wedding = new Wedding(t);
    const odile = await wedding.arrive('Odile', 'guest', transports);
    const max = await wedding.arrive('Max', 'guest', transports);
    const answer = await odile.ok('send_message', { content: 'héllo 😀', tempId: 't-1', senderId: 'forged' });
    assertFields(answer, 'success', 'message');
    assertFields(answer.message, ...FIELDS);
    assertStored(answer.message);
    const { content, senderId, senderName, recipientId, channel, tempId, seq } = answer.message;
    assert.deepEqual([content, senderId, senderName], ['héllo 😀', odile.id, 'Odile']);
    assert.deepEqual([recipientId, channel, tempId, seq], [null, null, 't-1', 1]);
    for (const guest of [odile, max]) assert.deepEqual(await guest.next('new_message'), answer.message);
    await odile.say('second');
    assert.deepEqual((await max.heard('new_message')).map((message) => message.seq), [1, 2]);
  });
}

test('a message to somebody goes to them in every session and to the sender’s other sessions, to nobody else', async (t) => {
  const wedding = new Wedding(t);
  const [sender, recipient] = [wedding.person('Odile'), wedding.person('Camille', 'couple')];
  const [phone, laptop] = [await wedding.arrive(sender), await wedding.arrive(sender)];
  const [one, two] = [await wedding.arrive(recipient), await wedding.arrive(recipient)];
  const stranger = await wedding.arrive('Max', 'admin');
  const message = await phone.say('for you', { recipientId: recipient.id });
  assert.deepEqual([message.recipientId, message.seq], [recipient.id, 1]);
  for (const guest of [laptop, one, two]) assert.deepEqual(await guest.next('new_message'), message);
  const answer = await one.say('thank you', { recipientId: sender.id });
  assert.equal(answer.seq, 2, 'a pair has one order');
  for (const guest of [phone, laptop, two]) assert.deepEqual(await guest.nextWhere('new_message', ({ id }) => id === answer.id), answer);
  const ids = async (guest) => (await guest.heard('new_message')).map(({ id }) => id);
  assert.deepEqual(await ids(phone), [answer.id], 'the session that sent it has the ack');
  assert.deepEqual(await ids(one), [message.id]);
  assert.deepEqual(await ids(stranger), []);
});

test('a message to somebody who is away waits in the history of the two, and is seen by no third', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const later = wedding.person('Camille', 'couple');
  const message = await odile.say('when you are back', { recipientId: later.id });
  await odile.say('to all');
  const camille = await wedding.arrive(later);
  assert.deepEqual((await camille.ok('get_messages', { recipientId: odile.id })).messages, [message]);
  assert.deepEqual((await odile.ok('get_messages', { recipientId: later.id })).messages, [message]);
  const max = await wedding.arrive('Max', 'admin');
  for (const recipientId of [odile.id, later.id]) assert.deepEqual((await max.ok('get_messages', { recipientId })).messages, []);
  for (const guest of [odile, camille, max]) {
    assert.deepEqual((await guest.ok('get_messages', {})).messages.map(({ content }) => content), ['to all']);
  }
});

test('an id that is a number is the same one as a text, and is sent as the token had it', async (t) => {
  const wedding = new Wedding(t);
  const dora = await wedding.arrive(wedding.person('Dora', 'guest', { sub: 7 }));
  const odile = await wedding.arrive('Odile');
  assert.equal(dora.hello.userId, 7);
  await odile.say('by text', { recipientId: '7' });
  await odile.say('by number', { recipientId: 7 });
  assert.deepEqual((await dora.heard('new_message')).map(({ content }) => content), ['by text', 'by number']);
  assert.equal((await dora.say('mine')).senderId, 7);
  assert.equal((await odile.nextWhere('new_message', ({ content }) => content === 'mine')).senderId, 7);
});

test('a message to oneself goes to one’s other sessions, once', async (t) => {
  const wedding = new Wedding(t);
  const person = wedding.person('Odile');
  const [phone, laptop] = [await wedding.arrive(person), await wedding.arrive(person)];
  const message = await phone.say('buy flowers', { recipientId: person.id });
  assert.deepEqual(await laptop.heard('new_message'), [message]);
  assert.deepEqual((await laptop.ok('get_messages', { recipientId: person.id })).messages, [message]);
  assert.deepEqual((await laptop.ok('get_messages', {})).messages, []);
});

test('a channel is kept, and history can be read by it', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const max = await wedding.arrive('Max');
  for (const channel of ['family', 'friends', 'family', undefined]) await odile.say(`to ${channel}`, { channel });
  assert.deepEqual((await max.heard('new_message')).map(({ channel }) => channel), ['family', 'friends', 'family', null]);
  const page = async (more) => (await max.ok('get_messages', more)).messages.map(({ seq }) => seq);
  assert.deepEqual(await page({ channel: 'family' }), [1, 3]);
  assert.deepEqual(await page({ channel: 'friends' }), [2]);
  assert.deepEqual(await page({ channel: 'nobody' }), []);
  assert.deepEqual(await page({}), [1, 2, 3, 4]);
  assert.deepEqual(await page({ channel: 'family', before: 3 }), [1]);
});

test('history is paged by seq, oldest first, without a gap and without a repetition', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const sent = [];
  for (let n = 0; n < 7; n += 1) sent.push(await odile.say(`${n}`));
  const page = async (more) => {
    const { messages, hasMore, ...rest } = await odile.ok('get_messages', more);
    assert.deepEqual(rest, { success: true });
    return [messages.map(({ seq }) => seq), hasMore];
  };
  assert.deepEqual((await odile.ok('get_messages', {})).messages, sent);
  assert.deepEqual(await page({ limit: 3 }), [[5, 6, 7], true]);
  assert.deepEqual(await page({ limit: 3, before: 5 }), [[2, 3, 4], true]);
  assert.deepEqual(await page({ limit: 3, before: 2 }), [[1], false]);
  assert.deepEqual(await page({ after: 5 }), [[6, 7], false]);
  assert.deepEqual(await page({ after: 7 }), [[], false]);
});

test('a tempId stands for one message: the same answer, nothing told twice, other words are a conflict', async (t) => {
  const wedding = new Wedding(t);
  const odile = await wedding.arrive('Odile');
  const max = await wedding.arrive('Max');
  const tempId = unique('temp');
  const answers = await Promise.all([1, 2, 3].map(() => odile.ok('send_message', { content: 'once', tempId })));
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  await odile.refused('IDEMPOTENCY_CONFLICT', 'send_message', { content: 'other', tempId });
  const other = await max.say('mine', { tempId });
  assert.notEqual(other.id, answers[0].message.id);
  const direct = await odile.say('once', { tempId, recipientId: max.id });
  assert.notEqual(direct.id, answers[0].message.id, 'another conversation');
  assert.equal((await max.heard('new_message')).length, 3);
});

test('fifty messages a minute a user, in all sessions together; the next is RATE_LIMITED with the time to wait', async (t) => {
  const wedding = new Wedding(t);
  const person = wedding.person('Odile');
  const [phone, laptop] = [await wedding.arrive(person), await wedding.arrive(person)];
  const answers = [];
  for (let n = 0; n < 60; n += 1) answers.push(await (n % 2 ? phone : laptop).ask('send_message', { content: `${n}` }));
  const refused = answers.filter(({ success }) => !success);
  // A bucket that fills slowly may have let one or two more through meanwhile.
  assert.ok(refused.length >= 7 && refused.length <= 10, `${refused.length} refused`);
  for (const { error } of refused) {
    assert.deepEqual([error.code, error.retryable], ['RATE_LIMITED', true]);
    assert.ok(error.retryAfterMs > 0 && error.retryAfterMs <= 60000, String(error.retryAfterMs));
  }
  // Other events and other people go on.
  await phone.song();
  await (await wedding.arrive('Max')).say('not limited');
  const { messages } = await laptop.ok('get_messages', { limit: 100 });
  assert.equal(messages.length, 61 - refused.length);
});
