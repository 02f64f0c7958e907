//! `relay.send` through a whole server, with stock clients: to whom, who is told to have sent it, binary arguments, and what is
//! stored of it and given again after a cut and after a kill.
//!
//! Starts a server of its own with the app beside this file, and one with the built-in apps.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { relais } from '../lib/servers.mjs';
import { WAYS, ask, connected, start } from '../lib/stock.mjs';
import { sign } from '../lib/token.mjs';

const APPS = fileURLToPath(new URL('apps', import.meta.url));
let server;
let made = 0;

before(async () => {
  server = await relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'board' });
});
after(() => server.remove());

/** A connected person, greeted; `of` says at which server, by which address and path. */
async function person(t, name, { role, url, on = server, ...options } = {}) {
  const token = sign({ sub: name, name, ...(role && { role }) }, on.secrets.JWT_SECRET);
  const client = start(url ?? on.url, { transports: ['websocket'], auth: { token }, ...options });
  t.after(() => client.socket.close());
  await connected(client.socket);
  await client.next('connected');
  const say = async (event, payload) => (await ask(client.socket, event, payload))[0];
  const ok = async (event, payload) => {
    const answer = await say(event, payload);
    assert.equal(answer.success, true, JSON.stringify(answer));
    return answer;
  };
  const refused = async (code, event, payload) => assert.equal((await say(event, payload)).error?.code, code);
  // Events of one session come in order: whatever was sent to it before is here when this comes.
  const settled = async () => {
    await ok('tell', { userId: name, text: 'settled' });
    await client.next('told');
  };
  const all = (event) => client.inbox.all.filter((one) => one.name === event).map((one) => one.args[0]);
  return { ...client, name, say, ok, refused, settled, all };
}

/** A room that no other test knows. */
const board = () => `b${(made += 1)}`;

async function inRoom(t, boardId, names) {
  const people = [];
  for (const name of names) {
    const one = await person(t, name);
    await one.ok('enter', boardId);
    people.push(one);
  }
  return people;
}

test('the others in the room get it under the name and in the form that the file says, and the server says who sent it', async (t) => {
  const boardId = board();
  const [alice, bob] = await inRoom(t, boardId, ['alice', 'bob']);
  const carol = await person(t, 'carol');
  const answer = await alice.ok('draw', { boardId, stroke: { n: 1, by: 'mallory' }, by: 'mallory' });
  assert.deepEqual(answer, { success: true });
  const [drawn] = await bob.next('drawn');
  assert.deepEqual(drawn, { by: 'alice', boardId, stroke: { n: 1, by: 'mallory' } });
  await alice.settled();
  await carol.settled();
  assert.deepEqual([alice.all('drawn'), carol.all('drawn')], [[], []]);
});

test('who is not in the room may not send to it, and what does not fit its schema is refused with the field', async (t) => {
  const boardId = board();
  const [alice] = await inRoom(t, boardId, ['alice']);
  const mallory = await person(t, 'mallory');
  await mallory.refused('NOT_IN_ROOM', 'draw', { boardId, stroke: { n: 1 } });
  await mallory.refused('NOT_IN_ROOM', 'pin', { boardId, note: 'x' });
  const { error } = await alice.say('draw', { boardId, stroke: { n: 'one' } });
  assert.equal(error.code, 'INVALID_PAYLOAD');
  assert.match(error.message, /stroke/);
  await alice.settled();
  assert.deepEqual(alice.all('pinned'), []);
});

test('it may go to a role, to a user or to everybody, and a role may be needed for it', async (t) => {
  const alice = await person(t, 'alice-2');
  const teacher = await person(t, 'teacher', { role: 'teacher' });
  await alice.ok('call', { why: 'stuck' });
  assert.deepEqual((await teacher.next('called'))[0], { why: 'stuck' });
  assert.deepEqual(await alice.ok('tell', { userId: 'teacher', text: 'please' }), { success: true, online: true });
  assert.equal((await teacher.next('told'))[0], 'please');
  assert.equal((await alice.ok('tell', { userId: 'nobody', text: 'hm' })).online, false);
  await alice.refused('FORBIDDEN', 'ring', {});
  await teacher.ok('ring', { for: 'break' });
  for (const one of [alice, teacher]) assert.deepEqual((await one.next('rang'))[0], { for: 'break' });
  assert.deepEqual(alice.all('called'), []);
});

for (const [way, options] of Object.entries(WAYS)) {
  test(`binary arguments pass over ${way} where nothing is stored, and nowhere else`, async (t) => {
    const boardId = board();
    const [bob] = await inRoom(t, boardId, ['bob']);
    const alice = await person(t, 'alice', options);
    await alice.ok('enter', boardId);
    const picture = Buffer.from([0, 1, 2, 254, 255]);
    await alice.ok('draw', { boardId, stroke: { n: 2, picture, small: Buffer.from('s') } });
    const [{ stroke }] = await bob.next('drawn');
    assert.deepEqual([Buffer.from(stroke.picture), Buffer.from(stroke.small)], [picture, Buffer.from('s')]);
    await bob.ok('draw', { boardId, stroke: { n: 3, picture } });
    assert.deepEqual(Buffer.from((await alice.next('drawn'))[0].stroke.picture), picture);
    await alice.refused('INVALID_PAYLOAD', 'pin', { boardId, note: picture });
    await alice.ok('pin', { boardId, note: 'still here' });
  });
}

test('what is stored is counted, comes in the order sent, and comes after a cut, what is not stored does not', async (t) => {
  const boardId = board();
  const [alice] = await inRoom(t, boardId, ['alice']);
  const proxy = await Proxy.to(server.url);
  t.after(() => proxy.close());
  const bob = await person(t, 'bob', { url: proxy.url });
  await bob.ok('enter', boardId);
  assert.equal((await alice.ok('pin', { boardId, note: 0 })).reached, 2);
  assert.deepEqual((await bob.next('pinned'))[0], { by: 'alice', note: 0 });
  const id = bob.socket.id;
  proxy.refuse();
  await cutUntilGone(proxy, bob.socket);
  const acks = [];
  for (let note = 1; note <= 20; note += 1) {
    acks.push(alice.ok('pin', { boardId, note }));
    acks.push(alice.ok('draw', { boardId, stroke: { n: note } }));
  }
  await Promise.all(acks);
  proxy.welcome();
  await connected(bob.socket, 10000);
  assert.deepEqual([bob.socket.recovered, bob.socket.id], [true, id]);
  for (let note = 1; note <= 20; note += 1) assert.deepEqual((await bob.next('pinned'))[0], { by: 'alice', note });
  await alice.ok('draw', { boardId, stroke: { n: 100 } });
  assert.equal((await bob.next('drawn'))[0].stroke.n, 100);
  assert.deepEqual(bob.all('drawn').map((one) => one.stroke.n), [100]);
  assert.equal(bob.all('pinned').length, 21);
});

test('what was acked is there after a kill, and who was away gets it', async (t) => {
  const own = await relais(process.env.RELAIS_BIN, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'board' });
  t.after(() => own.remove());
  const boardId = board();
  const alice = await person(t, 'alice', { on: own });
  const proxy = await Proxy.to(own.url);
  t.after(() => proxy.close());
  const bob = await person(t, 'bob', { on: own, url: proxy.url });
  for (const one of [alice, bob]) await one.ok('enter', boardId);
  proxy.refuse();
  await cutUntilGone(proxy, bob.socket);
  await Promise.all(Array.from({ length: 10 }, (_, note) => alice.ok('pin', { boardId, note })));
  await own.program.kill();
  await own.program.start();
  proxy.welcome();
  await connected(bob.socket, 10000);
  assert.equal(bob.socket.recovered, true);
  for (let note = 0; note < 10; note += 1) assert.equal((await bob.next('pinned'))[0].note, note);
});

test('stories: a profile goes to the user’s other sessions and to followers, whoever the payload says that it is', async (t) => {
  const own = await relais(process.env.RELAIS_BIN);
  t.after(() => own.remove());
  const options = { on: own, path: '/stories/socket.io/' };
  const phone = await person(t, 7, options);
  const tablet = await person(t, 7, options);
  const other = await person(t, 8, options);
  const profile = { bio: 'writes', userId: 8 };
  assert.deepEqual(await phone.ok('profile:updated', profile), { success: true });
  const [event] = await tablet.next('profile:updated');
  assert.deepEqual(event, { userId: 7, profile });
  await phone.ok('profile:updated', { bio: 'reads' });
  await tablet.next('profile:updated');
  assert.deepEqual([phone.all('profile:updated'), other.all('profile:updated')], [[], []]);
});
