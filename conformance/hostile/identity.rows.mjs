//! Hostile input about who somebody is: sids, origins, tokens, pids, names of other tenants, API keys, and what the log makes of it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { handshake } from '../lib/wire.mjs';
import { now, sign } from '../lib/token.mjs';
import { pause } from '../lib/wait.mjs';
import { POLL, SOCKET } from './scene.mjs';

const TEXT = { 'content-type': 'text/plain;charset=UTF-8' };
const OTHER_KEY = 'another-secret-of-the-same-length-as-ours-it-seems';
const GOOD_ORIGIN = 'https://app.example.org';
export const FOREIGN = ['https://evil.example', `${GOOD_ORIGIN}.evil.example`, `${GOOD_ORIGIN}:8443`, 'http://app.example.org', 'https://evil-app.example.org', 'null', `${GOOD_ORIGIN}/`, 'file://', '*'];

/** Tokens that prove nothing, and the code with which they are refused. */
export function badTokens(scene) {
  const claims = { sub: 'admin', role: 'admin', tenant: scene.tenant };
  const made = (more, secret = scene.secrets.JWT_SECRET, options) => scene.keep(sign({ ...claims, ...more }, secret, options));
  const [header, , signature] = made({}).split('.');
  const rsa = '-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----';
  return [
    ['none', 'TOKEN_MISSING', undefined],
    ['no text', 'TOKEN_MISSING', { admin: true }],
    ['no token', 'TOKEN_INVALID', 'not.a.token'],
    ['alg none', 'TOKEN_INVALID', made({}, OTHER_KEY, { alg: 'none' })],
    ['alg NoNe', 'TOKEN_INVALID', made({}, OTHER_KEY, { alg: 'NoNe' })],
    ['RS256 over an HMAC with a public key', 'TOKEN_INVALID', made({}, rsa, { header: { alg: 'RS256' } })],
    ['ES256 over the right HMAC', 'TOKEN_INVALID', made({}, undefined, { header: { alg: 'ES256' } })],
    ['a kid that is a path', 'TOKEN_INVALID', made({}, OTHER_KEY, { header: { kid: '../../dev/null' } })],
    ['a kid that is SQL', 'TOKEN_INVALID', made({}, '', { header: { kid: "x' UNION SELECT '" } })],
    ['a jku of its own', 'TOKEN_INVALID', made({}, OTHER_KEY, { header: { jku: 'http://127.0.0.1:9/keys', x5u: 'http://127.0.0.1:9/', jwk: { kty: 'oct', k: 'AA' } } })],
    ['a crit that nobody understands', 'TOKEN_INVALID', made({}, OTHER_KEY, { header: { crit: ['exp'] } })],
    ['no signature', 'TOKEN_INVALID', made({}).replace(/[^.]+$/, '')],
    ['other claims under a signature', 'TOKEN_INVALID', `${header}.${Buffer.from(JSON.stringify({ sub: 'root' })).toString('base64url')}.${signature}`],
    ['exp as text', 'TOKEN_INVALID', made({ exp: String(now() + 60) })],
    ['exp as null', 'TOKEN_INVALID', made({ exp: null })],
    ['nbf as text', 'TOKEN_INVALID', made({ nbf: '0' })],
    ['expired', 'TOKEN_EXPIRED', made({ exp: now() - 60 })],
    ['not yet valid', 'TOKEN_INVALID', made({ nbf: now() + 600 })],
    ['of another app', 'TOKEN_INVALID', made({ app: 'wedding' })],
    ['no user', 'TOKEN_INVALID', made({ sub: undefined })],
    ['a user that is an object', 'TOKEN_INVALID', made({ sub: { $ne: null } })],
    ['a user with a line break', 'TOKEN_INVALID', made({ sub: 'a\nb' })],
    ['a tenant that is a list', 'TENANT_REQUIRED', made({ tenant: ['a', 'b'] })],
    ['a token of 9 KiB', 'TOKEN_INVALID', made({ pad: 'x'.repeat(9 * 1024) })],
  ];
}

/** Guesses until the server has enough of it: the wait that it asks for. */
async function guessUntilLimited(scene) {
  for (let n = 0; n < 20; n += 1) {
    const { status, headers, body } = await scene.request('GET', '/websocket/stats', { bearer: scene.keep(`guess-${randomUUID()}`) });
    if (status === 429) {
      assert.ok(Number(headers['retry-after']) > 0);
      return body.retryAfterMs;
    }
    assert.equal(status, 401);
  }
  return assert.fail('twenty guesses were answered');
}

export const IDENTITY_ROWS = [
  {
    row: 'a sid of somebody else, by header or query: 400, and its owner goes on',
    async run(scene) {
      const [mine, theirs] = [scene.token(), scene.token()];
      const byHeader = await scene.polling({ bearer: theirs });
      for (const bearer of [mine, undefined]) {
        for (const [method, body] of [['GET'], ['POST', '40']]) assert.equal((await scene.request(method, byHeader, { bearer, headers: TEXT, body })).status, 400);
        const wire = await scene.tcp(handshake(byHeader.replace('polling', 'websocket'), scene.host, bearer ? [`Authorization: Bearer ${bearer}`] : []));
        assert.equal((await wire.head).status, 400);
        wire.end();
      }
      assert.equal((await scene.request('POST', byHeader, { bearer: theirs, headers: TEXT, body: '40' })).status, 200);
      const byQuery = await scene.polling({}, `&token=${theirs}`);
      for (const stolen of [byQuery.replace(theirs, mine), byQuery.replace(`&token=${theirs}`, '')]) {
        assert.equal((await scene.request('GET', stolen)).status, 400);
      }
      assert.equal((await scene.request('POST', byQuery, { headers: TEXT, body: '40' })).status, 200);
    },
  },
  {
    row: 'a foreign origin: 403 over HTTP, polling and WebSocket',
    async run(scene) {
      for (const origin of FOREIGN) {
        const poll = await scene.request('GET', POLL, { headers: { origin } });
        assert.equal(poll.status, 403, origin);
        assert.equal(poll.headers['access-control-allow-origin'], undefined, origin);
        const wire = await scene.tcp(handshake(SOCKET, scene.host, [`Origin: ${origin}`]));
        assert.equal((await wire.head).status, 403, origin);
        wire.end();
      }
      assert.equal((await scene.request('GET', POLL, { headers: { origin: GOOD_ORIGIN } })).status, 200);
    },
  },
  {
    row: 'tokens that prove nothing: refused over both doors',
    async run(scene) {
      for (const [what, code, token] of badTokens(scene)) {
        const wire = await scene.engine();
        const answer = await scene.connect(wire, { token });
        assert.ok(answer.startsWith('44') && answer.includes(`"${code}"`), `${what}: ${answer}`);
        wire.end();
        if (typeof token !== 'string' || token.split('.').length !== 3) continue;
        const { status, body } = await scene.request('GET', '/bams/1/messages', { bearer: token });
        assert.deepEqual([status, body.code], [401, code], what);
      }
    },
  },
  {
    row: 'the pid of somebody else: a fresh session; with an expired token: refused',
    async run(scene) {
      const theirs = await scene.session({ sub: 'victim' });
      const mine = await scene.session({ sub: 'mallory' }, { pid: theirs.pid, offset: theirs.offset });
      assert.notEqual(mine.pid, theirs.pid);
      assert.notEqual(mine.sid, theirs.sid);
      const expired = await scene.engine();
      const token = scene.token({ sub: 'victim', exp: now() - 60 });
      assert.match(await scene.connect(expired, { token, pid: theirs.pid, offset: theirs.offset }), /^44.*TOKEN_EXPIRED/);
      for (const pid of ['', 'x', `${theirs.pid}x`, theirs.pid.slice(0, -3), 'A'.repeat(100000)]) {
        const fresh = await scene.session({ sub: 'victim' }, { pid, offset: 'nonsense' });
        assert.notEqual(fresh.pid, theirs.pid);
        fresh.wire.end();
      }
      assert.equal((await scene.ask(theirs.wire, 'status-change', 'online')).success, true, 'the owner is not disturbed');
      [theirs.wire, mine.wire, expired].forEach((wire) => wire.end());
    },
  },
  {
    row: 'names that would be another tenant’s if they were joined to a string: rooms of one’s own',
    async run(scene) {
      const [tenant, room] = [`tenant-${randomUUID()}`, `room-${randomUUID()}`];
      const victim = await scene.session({ sub: 'victim', tenant, bams: [room] });
      assert.equal((await scene.ask(victim.wire, 'join-bam', room)).success, true);
      const tricks = [`${tenant}:${room}`, `${tenant}/${room}`, `../${tenant}/${room}`, `bam:${tenant}:${room}`, `%2e%2e/${room}`, room.replace('o', 'о'), room.toUpperCase(), `${room} `, `${room}​`];
      const mallory = await scene.session({ sub: 'victim', bams: [room, ...tricks] });
      for (const trick of [room, ...tricks]) {
        const joined = await scene.ask(mallory.wire, 'join-bam', trick);
        assert.equal(joined.success, true, `${trick}: ${JSON.stringify(joined)}`);
        assert.equal(joined.onlineUsers.length, 1, trick);
        assert.equal((await scene.ask(mallory.wire, 'send-message', { bamId: trick, content: `to ${trick}` })).message.seq, 1, trick);
      }
      const own = await scene.ask(victim.wire, 'send-message', { bamId: room, content: 'the first here' });
      assert.equal(own.message.seq, 1);
      const heard = victim.wire.frames.all.filter(({ text }) => text.startsWith('42["new-message"'));
      assert.equal(heard.filter(({ text }) => text.includes('to ')).length, 0, 'nothing of it was heard by the other tenant');
      [victim.wire, mallory.wire].forEach((wire) => wire.end());
    },
  },
  {
    row: 'a token in the query: works, and shows nowhere',
    async run(scene) {
      const token = scene.token({ bams: ['1'] });
      const wire = await scene.wire(`${SOCKET}&token=${token}`);
      await scene.next(wire, 'OPEN');
      wire.text('40');
      assert.match(await scene.next(wire, 'the answer to CONNECT', (text) => /^4[04]/.test(text)), /^40\{/);
      wire.end();
      assert.equal((await scene.request('GET', `/bams/1/messages?token=${token}`)).status, 200);
      const wrong = scene.keep(`${token.slice(0, -4)}AAAA`);
      for (const path of [`/bams/1/messages?token=${wrong}`, `/nowhere?token=${token}`, `/socket.io/?EIO=9&transport=polling&token=${token}`]) {
        const { body } = await scene.request('GET', path);
        assert.equal(JSON.stringify(body).includes(token.slice(-40, -4)), false, 'no error says it');
      }
      for (const accept of ['application/json', 'text/plain']) {
        const { body } = await scene.request('GET', '/metrics', { headers: { accept } });
        assert.equal(JSON.stringify(body).includes(token.slice(-40, -4)), false, 'no metric says it');
      }
    },
  },
  {
    row: 'guesses at the API key: 401, then 429 with a growing delay',
    async run(scene) {
      // What is left of a delay says little when one comes late to ask: over some rounds it must be more than it ever was at first.
      const first = 500;
      for (let round = 0, left = 0; left <= first; round += 1) {
        assert.ok(round < 8, 'the delay does not grow');
        left = await guessUntilLimited(scene);
        if (left <= first) await pause(left + 50);
      }
    },
  },
  {
    row: 'line breaks and terminal codes in everything that is named: escaped, or refused',
    async run(scene) {
      const evil = 'x\r\n2026-01-01T00:00:00Z ERROR forged\u001b[2J\u009b31m\u0007';
      const session = await scene.session({ name: evil, role: evil });
      for (const name of ['join-bam', 'typing-start', 'status-change', evil.replace(/[\r\n\u001b\u009b\u0007]/g, ' ')]) {
        assert.equal((await scene.ask(session.wire, name, evil)).success, false);
      }
      session.wire.text(`40/${evil},`);
      await scene.closes(session.wire, 1008);
      const quoted = encodeURIComponent(evil);
      await scene.request('GET', `/${quoted}?token=${quoted}`, { headers: { 'user-agent': 'x\u009b31m', origin: 'x\u009b31m' } });
      await scene.request('GET', `/bams/${quoted}/messages`, { bearer: session.token });
      const page = await scene.request('GET', '/', { headers: { host: 'x"><script>alert(1)</script>' } });
      assert.equal(String(page.body).includes('<script>alert'), false, 'the page does not show what it was asked by');
    },
  },
];
