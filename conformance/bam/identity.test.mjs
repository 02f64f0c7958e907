//! Who a session speaks for: tokens and where they may be, claims and which of them count, refusals and their codes.

import test from 'node:test';
import assert from 'node:assert/strict';
import { KEY, SECRET, URL_OF_BAM, World, assertProblem, http, httpGuess, promised, token, unique } from '../lib/bam.mjs';
import { own, start } from '../lib/stock.mjs';
import { now, sign } from '../lib/token.mjs';

/** Connects with these options, and gives the refusal. */
async function refusal(options) {
  const { socket } = start(URL_OF_BAM, { transports: ['websocket'], reconnection: false, ...options });
  try {
    const refused = own(socket, 'connect_error').then(([error]) => error);
    const let_in = own(socket, 'connect').then(() => new Error('it was let in'));
    refused.catch(() => {});
    let_in.catch(() => {});
    return await Promise.race([refused, let_in]);
  } finally {
    socket.close();
  }
}

test('connected is the first event, and says who one is', async (t) => {
  const world = new World(t);
  const alice = await world.connect(world.person('Alice', { role: 'admin' }));
  assert.equal(alice.inbox.all[0].name, 'connected');
  const { userId, userName, role, sessionId } = alice.hello;
  assert.deepEqual({ userId, userName, role }, { userId: alice.id, userName: 'Alice', role: 'admin' });
  assert.equal(typeof sessionId, 'string');
});

for (const [what, claims, id, name] of [
  ['sub before userId and id', { sub: 'S', userId: 'U', id: 'I', name: 'N' }, 'S', 'N'],
  ['userId before id', { userId: 'U', id: 'I', userName: 'UN', username: 'un' }, 'U', 'UN'],
  ['id alone, named by username', { id: 'I', username: 'un', email: 'e@example.org' }, 'I', 'un'],
  ['an address where there is no name', { sub: 'S', email: 'e@example.org' }, 'S', 'e@example.org'],
]) {
  test(`the first claim that is present counts: ${what}`, async (t) => {
    const world = new World(t);
    const member = await world.connect({ name: 'Somebody', token: token(claims) });
    assert.equal(member.hello.userId, id);
    assert.equal(member.hello.userName, name);
  });
}

test('an id that is a number stays a number, and is the same user as its text', async (t) => {
  const world = new World(t);
  const number = 1_000_000 + Math.floor(Math.random() * 1e9);
  const person = world.person('Seven', { sub: number });
  const first = await world.enter(person);
  assert.strictEqual(first.hello.userId, number);
  const message = await first.say(world.bam, 'hello');
  assert.strictEqual(message.sender.id, number);
  const { body } = await http('GET', `/websocket/presence/${number}`, { token: KEY });
  assert.equal(body.online, true);
  const { body: told } = await http('POST', '/websocket/notify', { token: KEY, body: { userId: String(number), event: 'hi', data: { n: 1 } } });
  assert.equal(told.online, true);
  assert.deepEqual(await first.next('hi'), { n: 1 });
});

test('the token may be in auth, in the Authorization header, or in the query', async (t) => {
  const world = new World(t);
  const person = world.person('Alice');
  const bearer = { extraHeaders: { authorization: `Bearer ${person.token}` } };
  for (const options of [{ auth: { token: person.token } }, bearer, { query: { token: person.token } }]) {
    const { socket, next } = start(URL_OF_BAM, { transports: ['websocket'], ...options });
    t.after(() => socket.close());
    const [hello] = await next('connected');
    assert.equal(hello.userId, person.id);
  }
});

const good = () => ({ sub: unique('user'), name: 'Somebody' });
const BAD_TOKENS = [
  ['none', 'TOKEN_MISSING', () => undefined],
  ['an empty one', 'TOKEN_MISSING', () => ''],
  ['one that is no token', 'TOKEN_INVALID', () => 'not.a.token'],
  ['one signed with another key', 'TOKEN_INVALID', () => sign(good(), 'another-secret-of-the-same-length-as-ours')],
  ['one whose algorithm is none', 'TOKEN_INVALID', () => sign(good(), SECRET, { alg: 'none' })],
  ['one whose algorithm is None', 'TOKEN_INVALID', () => sign(good(), SECRET, { alg: 'None' })],
  ['one that says RS256 over an HMAC', 'TOKEN_INVALID', () => sign(good(), SECRET, { header: { alg: 'RS256' } })],
  ['one whose signature is cut off', 'TOKEN_INVALID', () => sign(good(), SECRET).replace(/[^.]+$/, '')],
  ['one whose claims were changed', 'TOKEN_INVALID', () => changed()],
  ['one that has expired', 'TOKEN_EXPIRED', () => token({ ...good(), exp: now() - 60 })],
  ['one that is not yet valid', 'TOKEN_INVALID', () => token({ ...good(), nbf: now() + 60 })],
  ['one whose expiry is text', 'TOKEN_INVALID', () => token({ ...good(), exp: String(now() + 60) })],
];

function changed() {
  const [header, , signature] = token(good()).split('.');
  return [header, Buffer.from(JSON.stringify({ sub: 'root', role: 'admin' })).toString('base64url'), signature].join('.');
}

for (const [what, code, make] of BAD_TOKENS) {
  test(`a connection with ${what} is refused with ${code}`, async () => {
    const error = await refusal({ auth: { token: make() } });
    assert.deepEqual(error.data, { code }, error.message);
    assert.equal(typeof error.message, 'string');
  });

  test(`an HTTP call with ${what} is refused with 401 and ${code}`, async () => {
    const bearer = make();
    assertProblem(await httpGuess('GET', '/bams/42/messages', { token: bearer === '' ? undefined : bearer }), 401, code);
  });
}

test('a token without a user is refused', async () => {
  if (process.env.RELAIS_REFERENCE === '1') return;
  assert.deepEqual((await refusal({ auth: { token: token({ name: 'Nobody' }) } })).data, { code: 'TOKEN_INVALID' });
});

test('a clock that differs by a few seconds is forgiven', async (t) => {
  const world = new World(t);
  const slow = world.person('Slow', { exp: now() - 2 });
  await world.connect(slow);
  const fast = world.person('Fast', { nbf: now() + 3 });
  await world.connect(fast);
});

test('a hostile kid or jku in the header changes nothing', async (t) => {
  const world = new World(t);
  const person = world.person('Kid');
  const header = { kid: "../../dev/null' OR 1=1", jku: 'http://127.0.0.1:9/keys', x5u: 'http://127.0.0.1:9/' };
  const member = await world.connect({ ...person, token: sign(person.claims, SECRET, { header }) });
  assert.equal(member.hello.userId, person.id);
  assert.deepEqual((await refusal({ auth: { token: sign(person.claims, 'another-secret-of-the-same-length-as-ours', { header }) } })).data, { code: 'TOKEN_INVALID' });
});

promised('HS384 and HS512 are taken as well', 'it knows HS256 only', async (t) => {
  const world = new World(t);
  for (const alg of ['HS384', 'HS512']) {
    const person = world.person(alg);
    await world.connect({ ...person, token: sign(person.claims, SECRET, { alg }) });
  }
});

promised('a token that is about to expire is announced, and a new one renews the session in place', 'it looks at a token once', async (t) => {
  const world = new World(t);
  const person = world.person('Alice', { exp: now() + 30 });
  const alice = await world.connect(person);
  const warning = await alice.next('auth:expiring');
  assert.equal(typeof warning.expiresAt, 'string');
  await alice.ok('auth:refresh', { token: token({ ...person.claims, exp: now() + 3600 }) });
  assert.equal(alice.socket.connected, true);
  await alice.join(world.bam);
});

promised('a new token of somebody else does not renew a session', 'it looks at a token once', async (t) => {
  const world = new World(t);
  const alice = await world.connect('Alice');
  const answer = await alice.ask('auth:refresh', { token: world.person('Bob').token });
  assert.equal(answer.success, false);
  assert.equal((await alice.ask('auth:refresh', { token: 'nonsense' })).error.code, 'TOKEN_INVALID');
});

promised('a session whose token has run out is closed, and its return is refused', 'it looks at a token once', async (t) => {
  const world = new World(t);
  const alice = await world.connect(world.person('Alice', { exp: now() - 2 }));
  await own(alice.socket, 'disconnect', 10000);
  const [error] = await own(alice.socket, 'connect_error', 10000);
  assert.deepEqual(error.data, { code: 'TOKEN_EXPIRED' });
});

test('a session without a role is an ordinary user, and so is one with a role that nobody knows', async (t) => {
  const world = new World(t);
  for (const claims of [{}, { role: 'emperor' }]) {
    const member = await world.enter(world.person('Somebody', claims));
    assertProblem(await http('GET', '/websocket/stats', { token: member.token }), 403, 'FORBIDDEN');
  }
});
