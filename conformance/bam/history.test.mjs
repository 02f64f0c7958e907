//! History, by socket and by HTTP: pages in both directions, their limits, private messages.

import test from 'node:test';
import assert from 'node:assert/strict';
import { World, assertProblem, http } from '../lib/bam.mjs';

const seqs = (page) => page.messages.map((message) => message.seq);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

/** A room with so many messages, and somebody in it. */
async function filled(t, total) {
  const world = new World(t);
  const alice = await world.enter('Alice');
  // In slices, so that a limit of events a second is not what is tested here.
  for (let from = 1; from <= total; from += 50) {
    const slice = range(from, Math.min(total, from + 49));
    await Promise.all(slice.map((n) => alice.say(world.bam, `message ${n}`)));
  }
  const bySocket = async (query = {}) => alice.ok('get-messages', { bamId: world.bam, ...query });
  const byHttp = async (query = {}) => {
    const response = await http('GET', `/bams/${world.bam}/messages?${new URLSearchParams(query)}`, { token: alice.token });
    assert.equal(response.status, 200, JSON.stringify(response.body));
    return response.body;
  };
  return { world, alice, ways: { socket: bySocket, HTTP: byHttp } };
}

test('history by socket and by HTTP: the newest page, then back, then forward, always oldest first', async (t) => {
  const { ways } = await filled(t, 120);
  for (const [way, page] of Object.entries(ways)) {
    await t.test(way, async () => {
      const newest = await page();
      assert.deepEqual([seqs(newest), newest.hasMore], [range(71, 120), true]);
      const older = await page({ before: 71 });
      assert.deepEqual([seqs(older), older.hasMore], [range(21, 70), true]);
      const oldest = await page({ before: 21 });
      assert.deepEqual([seqs(oldest), oldest.hasMore], [range(1, 20), false]);
      const forward = await page({ after: 0 });
      assert.deepEqual([seqs(forward), forward.hasMore], [range(1, 50), true]);
      const last = await page({ after: 100 });
      assert.deepEqual([seqs(last), last.hasMore], [range(101, 120), false]);
      const hundred = await page({ limit: 100 });
      assert.deepEqual([seqs(hundred), hundred.hasMore], [range(21, 120), true]);
      const one = await page({ before: 60, limit: 1 });
      assert.deepEqual([seqs(one), one.hasMore], [[59], true]);
      const next = await page({ after: 60, limit: 2 });
      assert.deepEqual([seqs(next), next.hasMore], [[61, 62], true]);
      const beyond = await page({ after: 120 });
      assert.deepEqual([seqs(beyond), beyond.hasMore], [[], false]);
      const first = await page({ before: 1 });
      assert.deepEqual([seqs(first), first.hasMore], [[], false]);
    });
  }
});

test('a page holds messages as they were sent', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const sent = [await alice.say(world.bam, 'one', { tempId: 'a' }), await alice.say(world.bam, 'two', { type: 'file' })];
  const page = await alice.ok('get-messages', { bamId: world.bam });
  assert.deepEqual(page, { success: true, messages: sent, hasMore: false });
  const { body } = await http('GET', `/bams/${world.bam}/messages`, { token: alice.token });
  assert.deepEqual(body, { messages: sent, hasMore: false });
});

test('a room in which nobody spoke has an empty page', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  assert.deepEqual(await alice.ok('get-messages', { bamId: world.bam }), { success: true, messages: [], hasMore: false });
});

for (const [what, query] of [
  ['a limit of 0', { limit: 0 }],
  ['a limit of 101', { limit: 101 }],
  ['a limit that is no whole number', { limit: 1.5 }],
  ['a limit that is text', { limit: 'many' }],
  ['a before that is negative', { before: -1 }],
  ['an after that is text', { after: 'yesterday' }],
]) {
  test(`history with ${what} is INVALID_PAYLOAD`, async (t) => {
    const world = new World(t);
    const alice = await world.enter('Alice');
    await alice.refused('INVALID_PAYLOAD', 'get-messages', { bamId: world.bam, ...query });
    assertProblem(await http('GET', `/bams/${world.bam}/messages?${new URLSearchParams(query)}`, { token: alice.token }), 400, 'INVALID_PAYLOAD');
  });
}

test('history is for participants alone', async (t) => {
  const world = new World(t);
  const eve = world.person('Eve', { bams: [] });
  assertProblem(await http('GET', `/bams/${world.bam}/messages`, { token: eve.token }), 403, 'NOT_A_MEMBER');
});

test('a private message reaches the one it is for and its sender, in every session of theirs, and nobody else', async (t) => {
  const world = new World(t);
  const [alice, bob, chloe] = await world.room('Alice', 'Bob', 'Chloé');
  const laptop = await world.enter(alice);
  const { status, body } = await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'only for Bob', toUserId: bob.id } });
  assert.equal(status, 201);
  assert.equal(body.toUserId, bob.id);
  for (const member of [alice, laptop, bob]) assert.deepEqual(await member.next('new-message'), body);
  const open = await alice.say(world.bam, 'for all');
  assert.equal(open.seq, body.seq + 1, 'a private message takes a seq of the room like any other');
  assert.deepEqual(await chloe.next('new-message'), open);
  assert.equal('toUserId' in open && open.toUserId !== null, false);
});

test('a private message is in the history of the two, and of nobody else', async (t) => {
  const world = new World(t);
  const [alice, bob, chloe] = await world.room('Alice', 'Bob', 'Chloé');
  await alice.say(world.bam, 'one');
  await http('POST', `/bams/${world.bam}/messages`, { token: alice.token, body: { text: 'two, for Bob', toUserId: bob.id } });
  await bob.say(world.bam, 'three');
  const page = async (member) => seqs(await member.ok('get-messages', { bamId: world.bam }));
  assert.deepEqual(await page(alice), [1, 2, 3]);
  assert.deepEqual(await page(bob), [1, 2, 3]);
  assert.deepEqual(await page(chloe), [1, 3]);
  const { body } = await http('GET', `/bams/${world.bam}/messages?limit=2`, { token: chloe.token });
  assert.deepEqual([seqs(body), body.hasMore], [[1, 3], false], 'a page is filled with what one may see');
});
