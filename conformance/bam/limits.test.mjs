//! Limits: events a second, sizes, connections from one address, guessing at keys.
//!
//! Tests that would disturb others start a server of their own (RELAIS_BIN).

import test from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { URL_OF_BAM, World, http, promised, token, unique } from '../lib/bam.mjs';
import { connected, own, start } from '../lib/stock.mjs';
import { relais } from '../lib/servers.mjs';
import { pause, within } from '../lib/wait.mjs';

const BURST = 200;
const REST = 'it has no limits of its own';
const BIN = process.env.RELAIS_BIN;

/** A test with a server of its own. */
function alone(name, settings, body) {
  const skip = (process.env.RELAIS_REFERENCE === '1' || !BIN) && 'needs RELAIS_BIN, to start a server of its own';
  test(name, { skip }, async (t) => {
    const server = await relais(BIN, settings);
    t.after(() => server.remove());
    await body(t, server);
  });
}

promised('more events than a session may send are RATE_LIMITED with the time to wait, and after it all is well', REST, async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const answers = await Promise.all(Array.from({ length: 3 * BURST }, () => alice.ask('status-change', 'online')));
  const refused = answers.filter((answer) => !answer.success);
  assert.ok(answers.filter((answer) => answer.success).length >= BURST - 10, 'a burst is allowed');
  assert.ok(refused.length > 0, 'and then it ends');
  for (const { error } of refused) {
    assert.deepEqual([error.code, error.retryable], ['RATE_LIMITED', true]);
    assert.ok(error.retryAfterMs > 0 && error.retryAfterMs <= 60000, String(error.retryAfterMs));
  }
  await pause(Math.max(...refused.map(({ error }) => error.retryAfterMs)));
  await alice.ok('status-change', 'busy');
  const bob = await world.enter('Bob');
  await bob.ok('status-change', 'away');
});

promised('a message over the payload limit ends the connection with 1009, and nothing else', REST, async (t) => {
  const world = new World(t);
  const [alice, bob] = await world.room('Alice', 'Bob');
  const gone = own(alice.socket, 'disconnect');
  alice.socket.emit('send-message', { bamId: world.bam, content: 'x'.repeat(1100000) });
  await gone;
  await bob.say(world.bam, 'not disturbed');
});

promised('a body over the limit is refused with 413', REST, async (t) => {
  const world = new World(t);
  const { token: bearer } = world.person('Alice');
  const { status } = await http('POST', `/bams/${world.bam}/messages`, { token: bearer, body: { text: 'x'.repeat(3000000) } });
  assert.equal(status, 413);
});

promised('a session may be in so many rooms, and one more is refused', REST, async (t) => {
  const world = new World(t);
  const rooms = Array.from({ length: 140 }, (_, n) => `${world.bam}-${n}`);
  const alice = await world.connect(world.person('Alice', { bams: rooms }));
  const entered = [];
  for (const room of rooms) {
    const answer = await alice.ask('join-bam', room);
    if (answer.success) entered.push(room);
  }
  // 128 rooms a session; the session's own (user, role, tenant) may count among them.
  assert.ok(entered.length >= 124 && entered.length <= 128, `${entered.length} entered`);
  // The last one that let it in is a room like any other.
  const last = entered.at(-1);
  await alice.say(last, 'heard');
  await alice.nextWhere('new-message', (message) => message.bamId === last);
});

alone('more connections from one address than allowed are refused with 429 and Retry-After', { RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX: '10' }, async (t, { url, secrets }) => {
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.close()));
  for (let n = 0; n < 10; n += 1) {
    const auth = { token: token({ sub: unique('user') }, secrets.JWT_SECRET) };
    const { socket } = start(url, { transports: ['websocket'], auth, reconnection: false });
    sockets.push(socket);
    await connected(socket);
  }
  const response = await http('GET', '/socket.io/?EIO=4&transport=polling', { url, once: true });
  assert.equal(response.status, 429);
  assert.ok(Number(response.headers.get('retry-after')) > 0);
  const ws = start(url, { transports: ['websocket'], reconnection: false });
  await own(ws.socket, 'connect_error');
  ws.socket.close();
});

alone('exactly as many connections from one address are let in as allowed, however they begin', { RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX: '10' }, async (t, { url }) => {
  // Without an agent each request has a TCP connection of its own.
  const handshake = async () => {
    const [response] = await once(get(new URL('/socket.io/?EIO=4&transport=polling', url), { agent: false }), 'response');
    response.resume();
    return response.statusCode;
  };
  for (let n = 0; n < 10; n += 1) assert.equal(await handshake(), 200, `handshake ${n + 1}`);
  assert.equal(await handshake(), 429);
});

alone('guessing at the API key meets 429 with a growing delay, and the right key from elsewhere would still do', {}, async (t, { url, secrets }) => {
  const guess = () => http('GET', '/websocket/stats', { url, token: unique('guess'), once: true });
  let limited = null;
  for (let n = 0; n < 40 && !limited; n += 1) {
    const response = await guess();
    if (response.status === 429) limited = response;
    else assert.equal(response.status, 401);
  }
  assert.ok(limited, 'guessing ends in 429');
  assert.ok(Number(limited.headers.get('retry-after')) > 0);
  assert.equal(limited.body.code, 'RATE_LIMITED');
  assert.ok(secrets.API_KEY.length > 0);
});

alone('a good token is not held up by what others behind the same address have guessed', {}, async (t, { url, secrets }) => {
  for (let n = 0; n < 20; n += 1) await http('GET', '/bams/1/messages', { url, token: unique('guess'), once: true });
  const good = token({ sub: unique('user'), bams: ['1'] }, secrets.JWT_SECRET);
  assert.equal((await http('GET', '/bams/1/messages', { url, token: good, once: true })).status, 200);
});

alone('no secret is in what the server prints', { RELAIS_LOG: 'debug' }, async (t, { url, secrets, program }) => {
  const bearer = token({ sub: unique('user'), bams: ['1'] }, secrets.JWT_SECRET);
  const { socket, next } = start(url, { transports: ['websocket'], query: { token: bearer }, reconnection: false });
  t.after(() => socket.close());
  await next('connected');
  await http('GET', `/bams/1/messages?token=${bearer}`, { url });
  await http('GET', '/websocket/stats', { url, token: secrets.API_KEY });
  await http('GET', '/websocket/stats', { url, token: `${bearer}x` });
  for (const secret of [bearer, bearer.split('.')[2], secrets.JWT_SECRET, secrets.API_KEY]) {
    assert.equal(program.output.includes(secret), false, 'a secret was printed');
  }
});

alone('with placeholder secrets it refuses to listen beyond this machine', {}, async (t, { data }) => {
  const { spawn } = await import('node:child_process');
  for (const secret of ['secret', 'changeme', 'your-secret-key', 'short']) {
    const env = { ...process.env, WS_HOST: '0.0.0.0', WS_PORT: '0', JWT_SECRET: secret, RELAIS_DATA: data, RELAIS_APP: 'bam' };
    const child = spawn(BIN, ['serve'], { env, stdio: 'ignore' });
    t.after(() => child.kill('SIGKILL'));
    const code = await within(new Promise((resolve) => child.on('exit', resolve)), `it refuses ${secret}`);
    assert.notEqual(code, 0, secret);
  }
});

test('the server answers that it lives and that it is ready', async () => {
  assert.equal((await http('GET', '/healthz')).status, 200);
  if (process.env.RELAIS_REFERENCE !== '1') assert.equal((await http('GET', '/readyz')).status, 200);
});

promised('metrics are JSON with the app’s keys, or Prometheus text by Accept', 'it has none', async () => {
  const json = await http('GET', '/metrics', { headers: { accept: 'application/json' } });
  assert.equal(json.status, 200);
  for (const key of ['totalConnections', 'activeConnections', 'messagesPerMinute', 'connectedUsers']) assert.equal(typeof json.body[key], 'number', key);
  const text = await http('GET', '/metrics', { headers: { accept: 'text/plain' } });
  assert.equal(text.status, 200);
  assert.match(text.body, /^# (HELP|TYPE) /m);
});

promised('the app is served under its name as well as at the root', 'it is one app', async (t) => {
  const world = new World(t);
  const alice = await world.enter('Alice');
  const bob = await world.enter('Bob', { path: '/bam/socket.io/' });
  await alice.say(world.bam, 'the same rooms');
  assert.equal((await bob.next('new-message')).content, 'the same rooms');
  const { status } = await http('GET', `/bam/bams/${world.bam}/messages`, { token: alice.token });
  assert.equal(status, 200);
  assert.ok(URL_OF_BAM);
});

promised('a token that names another app is refused', 'it is one app', async (t) => {
  const world = new World(t);
  const person = world.person('Alice', { app: 'wedding' });
  const response = await http('GET', `/bams/${world.bam}/messages`, { token: person.token });
  assert.ok([401, 403].includes(response.status), String(response.status));
});
