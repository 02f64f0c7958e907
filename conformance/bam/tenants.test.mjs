//! Two tenants with the same names for everything: nothing of one is seen by the other.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, URL_OF_BAM, World, http, promised, unique } from '../lib/bam.mjs';
import { ask, connected, start } from '../lib/stock.mjs';

/** The same room and the same people in two tenants. */
async function twins(t) {
  const worlds = ['north', 'south'].map((name) => new World(t, unique(name)));
  const bam = worlds[0].bam;
  worlds[1].bam = bam;
  const ids = { alice: unique('alice'), bob: unique('bob') };
  const [north, south] = await Promise.all(
    worlds.map(async (world) => ({
      world,
      alice: await world.enter(world.person('Alice', { sub: ids.alice })),
      bob: await world.enter(world.person('Bob', { sub: ids.bob })),
    })),
  );
  return { bam, north, south };
}

test('a message stays in its tenant, and each tenant counts its own', async (t) => {
  const { bam, north, south } = await twins(t);
  const first = await north.alice.say(bam, 'in the north');
  const second = await south.alice.say(bam, 'in the south');
  assert.deepEqual([first.seq, second.seq], [1, 1]);
  assert.equal((await north.bob.next('new-message')).content, 'in the north');
  assert.equal((await south.bob.next('new-message')).content, 'in the south');
  assert.equal(north.bob.all('new-message').length, 1);
  assert.equal(south.bob.all('new-message').length, 1);
});

test('history of one tenant is not the other’s, by socket and by HTTP', async (t) => {
  const { bam, north, south } = await twins(t);
  await north.alice.say(bam, 'a secret of the north');
  assert.deepEqual((await south.alice.ok('get-messages', { bamId: bam })).messages, []);
  assert.deepEqual((await http('GET', `/bams/${bam}/messages`, { token: south.alice.token })).body.messages, []);
});

test('the same tempId of the same user is another message in another tenant', async (t) => {
  const { bam, north, south } = await twins(t);
  const tempId = unique('temp');
  const one = await north.alice.say(bam, 'north', { tempId });
  const two = await south.alice.say(bam, 'south', { tempId });
  assert.notEqual(one.id, two.id);
});

test('coming, typing and presence stay in their tenant', async (t) => {
  const { bam, north, south } = await twins(t);
  await north.alice.ok('status-change', 'busy');
  await north.bob.nextWhere('presence-update', (data) => data.status === 'busy');
  await north.alice.ok('typing-start', bam);
  await north.bob.next('typing-status');
  const other = await north.world.enter('Chloé');
  await north.bob.nextWhere('user-joined-bam', (data) => data.userId === other.id);
  // What is sent now in the south comes after anything that might have crossed.
  await south.alice.say(bam, 'quiet here');
  await south.bob.next('new-message');
  assert.deepEqual(south.bob.all('presence-update').filter((data) => data.status === 'busy'), []);
  assert.deepEqual(south.bob.all('typing-status'), []);
  assert.deepEqual(south.bob.all('user-joined-bam').filter((data) => data.userId === other.id), []);
  const again = await south.alice.ok('join-bam', bam);
  assert.equal(again.onlineUsers.length, 2);
  assert.equal(again.onlineUsers.find((user) => user.userId === south.alice.id).status, 'online');
});

test('HTTP answers about one tenant know nothing of the other', async (t) => {
  const { bam, north, south } = await twins(t);
  await north.alice.ok('status-change', 'away');
  const seen = await http('GET', `/websocket/presence/${north.alice.id}`, { token: south.alice.token });
  assert.equal(seen.body.status, 'online');
  const chloe = await north.world.enter('Chloé');
  const online = await http('GET', `/websocket/bam/${bam}/online`, { token: south.alice.token });
  assert.equal(online.body.users.some((user) => user.userId === chloe.id), false);
  assert.equal((await http('GET', `/websocket/presence/${chloe.id}`, { token: south.alice.token })).body.online, false);
});

test('who says no tenant is in the default one, and so is the API key', async (t) => {
  const { bam, north } = await twins(t);
  const world = new World(t);
  world.bam = bam;
  const alice = await world.enter(world.person('Alice', { sub: north.alice.id }));
  const event = unique('note');
  await http('POST', '/websocket/notify', { token: KEY, body: { userId: alice.id, event, data: { n: 1 } } });
  assert.deepEqual(await alice.next(event), { n: 1 });
  await http('POST', `/websocket/bam/${bam}/emit`, { token: KEY, body: { event, data: { n: 2 } } });
  assert.deepEqual(await alice.next(event), { n: 2 });
  await north.alice.say(bam, 'after');
  await north.bob.next('new-message');
  assert.deepEqual(north.alice.all(event), []);
  assert.deepEqual(north.bob.all(event), []);
});

promised('the API key speaks to another tenant by the header relais-tenant', 'its key is for one tenant', async (t) => {
  const { bam, north, south } = await twins(t);
  const event = unique('note');
  const headers = { 'relais-tenant': north.world.tenant };
  const { body } = await http('POST', `/websocket/bam/${bam}/emit`, { token: KEY, headers, body: { event, data: { n: 1 } } });
  assert.equal(body.recipients, 2);
  assert.deepEqual(await north.alice.next(event), { n: 1 });
  await south.alice.say(bam, 'after');
  await south.bob.next('new-message');
  assert.deepEqual(south.bob.all(event), []);
});

test('the first session of a tenant is served like any other, also when it does not wait for its greeting', async (t) => {
  for (let n = 0; n < 10; n += 1) {
    const world = new World(t, unique('fresh'));
    const person = world.person('First');
    const { socket } = start(URL_OF_BAM, { transports: ['websocket'], auth: { token: person.token }, reconnection: false });
    t.after(() => socket.close());
    await connected(socket);
    const [answer] = await ask(socket, 'join-bam', world.bam);
    assert.equal(answer.success, true);
    assert.equal(socket.connected, true);
  }
});
