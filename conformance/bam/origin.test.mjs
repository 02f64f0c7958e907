//! Pages of other origins: which may, which may not, what a browser is told.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ORIGIN, URL_OF_BAM, World, assertProblem, http, promised, token } from '../lib/bam.mjs';
import { Wire, handshake } from '../lib/wire.mjs';

const POLL = '/socket.io/?EIO=4&transport=polling';
const FOREIGN = [
  'https://evil.example',
  `${ORIGIN}.evil.example`,
  ORIGIN.replace('https://', 'http://'),
  `${ORIGIN}:8443`,
  ORIGIN.replace('https://', 'https://evil-'),
  'null',
];

test('an allowed origin may poll, and its page may read the answer', async () => {
  const response = await http('GET', POLL, { headers: { origin: ORIGIN } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('access-control-allow-origin'), ORIGIN);
});

for (const origin of FOREIGN) {
  test(`a poll from ${origin} is refused with 403`, async () => {
    const response = await http('GET', POLL, { headers: { origin } });
    assert.equal(response.status, 403);
    assert.equal(response.headers.get('access-control-allow-origin') === origin, false);
  });
}

promised('a WebSocket from a foreign origin is refused before it opens', 'it says so with the same status, over a plain text body', async () => {
  for (const origin of FOREIGN) {
    const wire = await Wire.request(URL_OF_BAM, handshake('/socket.io/?EIO=4&transport=websocket', new URL(URL_OF_BAM).host, [`Origin: ${origin}`]));
    assert.equal((await wire.head).status, 403, origin);
    wire.end();
  }
});

promised('a refusal of an origin is a problem, and under the address of Socket.IO the body that its clients know', 'it refuses nothing but polls', async () => {
  const headers = { origin: FOREIGN[0] };
  for (const path of ['/bams/42/messages', '/healthz', '/nowhere']) assertProblem(await http('GET', path, { headers }), 403, 'FORBIDDEN');
  for (const path of [POLL, `/bam${POLL}`, POLL.replace('/?', '?')]) {
    const response = await http('GET', path, { headers });
    assert.equal(response.status, 403);
    assert.match(response.headers.get('content-type'), /^application\/json/);
    assert.deepEqual(response.body, { code: 4, message: 'Forbidden' });
  }
});

test('a WebSocket from an allowed origin opens, and so does one of no page at all', async () => {
  for (const lines of [[`Origin: ${ORIGIN}`], []]) {
    const wire = await Wire.request(URL_OF_BAM, handshake('/socket.io/?EIO=4&transport=websocket', new URL(URL_OF_BAM).host, lines));
    assert.equal((await wire.head).status, 101);
    wire.end();
  }
});

test('a preflight of an allowed origin says what may be sent', async () => {
  const response = await http('OPTIONS', '/bams/42/messages', {
    headers: { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
  });
  assert.ok(response.status === 200 || response.status === 204, String(response.status));
  assert.equal(response.headers.get('access-control-allow-origin'), ORIGIN);
  assert.match(response.headers.get('access-control-allow-methods'), /POST/);
  const allowed = response.headers.get('access-control-allow-headers').toLowerCase();
  assert.match(allowed, /authorization/);
  assert.match(allowed, /content-type/);
});

test('an HTTP answer names the allowed origin, and never a foreign one', async (t) => {
  const { bam } = new World(t);
  const bearer = token({ sub: 'alice', bams: [bam] });
  const good = await http('GET', `/bams/${bam}/messages`, { token: bearer, headers: { origin: ORIGIN } });
  assert.equal(good.status, 200);
  assert.equal(good.headers.get('access-control-allow-origin'), ORIGIN);
  assert.match(good.headers.get('vary') ?? '', /origin/i);
  for (const origin of FOREIGN) {
    const bad = await http('GET', `/bams/${bam}/messages`, { token: bearer, headers: { origin } });
    assert.equal(bad.headers.has('access-control-allow-origin'), false, origin);
  }
});
