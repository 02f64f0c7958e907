//! Each limit of what a peer may cost is a setting: a server with small ones refuses at its own number, with the same code.

import { after, before, suite, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { OP, frame } from '../lib/wire.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually, within } from '../lib/wait.mjs';
import { POLL, PATIENCE_MS, Scene } from './scene.mjs';

const SMALL = {
  RELAIS_HEADER_TIMEOUT_MS: '500',
  RELAIS_HEADERS_MAX: '16',
  RELAIS_HEADER_BYTES_MAX: '8192',
  RELAIS_BODY_TIMEOUT_MS: '500',
  RELAIS_BODY_BYTES_MAX: '1024',
  RELAIS_CONNECT_TIMEOUT_MS: '500',
  RELAIS_UPGRADE_TIMEOUT_MS: '500',
  RELAIS_FRAGMENTS_MAX: '3',
  RELAIS_ATTACHMENTS_MAX: '1',
  RELAIS_JSON_DEPTH_MAX: '8',
  RELAIS_CONTROL_PACKETS_PER_SECOND_MAX: '2',
  RELAIS_NAMESPACES_MAX: '1',
  RELAIS_SESSION_ROOMS_MAX: '2',
  RELAIS_NAME_BYTES_MAX: '32',
  RELAIS_KEY_GUESSES_MAX: '1',
  RELAIS_KEY_DELAY_MS_MAX: '1000',
};
const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
const TEXT = { 'content-type': 'text/plain;charset=UTF-8' };

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN, SMALL);
});
after(() => server.remove());

function limit(what, run) {
  test(what, { timeout: 60000 }, async (t) => {
    const scene = new Scene(server);
    t.after(() => scene.end());
    await run(scene);
  });
}

const head = async (wire) => (await within(Promise.race([wire.head, wire.ended.then(() => ({ status: 'closed' }))]), 'an answer', PATIENCE_MS)).status;

suite('limits are settings', { concurrency: 8 }, () => {
  limit('header_timeout_ms: a head that does not end is cut off', async (scene) => {
    const wire = await scene.tcp();
    wire.tcp.write('GET / HTTP/1.1\r\n');
    await within(wire.ended, 'the server closes it', PATIENCE_MS);
  });

  limit('headers_max: as many are taken, one more is 431', async (scene) => {
    const extra = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'y']));
    // Host and Connection are there by themselves.
    assert.equal((await scene.request('GET', '/healthz', { headers: extra(14) })).status, 200);
    assert.equal((await scene.request('GET', '/healthz', { headers: extra(15) })).status, 431);
  });

  limit('header_bytes_max: 431', async (scene) => {
    assert.equal((await scene.request('GET', '/healthz', { headers: { 'x-big': 'x'.repeat(7000) } })).status, 200);
    assert.equal((await scene.request('GET', '/healthz', { headers: { 'x-big': 'x'.repeat(9000) } })).status, 431);
  });

  limit('body_timeout_ms: a body that does not end is refused with 400, over both doors', async (scene) => {
    const bearer = scene.token({ bams: ['1'] });
    const path = await scene.polling();
    for (const [where, more] of [['/bams/1/messages', [`Authorization: Bearer ${bearer}`, 'Content-Type: application/json']], [path, ['Content-Type: text/plain']]]) {
      const wire = await scene.tcp([`POST ${where} HTTP/1.1`, `Host: ${scene.host}`, 'Content-Length: 100', ...more]);
      wire.tcp.write('{');
      assert.equal(await head(wire), 400, where);
      wire.end();
    }
    assert.equal((await scene.request('GET', path)).body.code, 1, 'the polling session is over');
  });

  limit('body_bytes_max: 413', async (scene) => {
    const post = (text) => scene.request('POST', '/bams/1/messages', { bearer: scene.token({ bams: ['1'] }), headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content: text }) });
    assert.equal((await post('x'.repeat(2000))).status, 413);
    assert.notEqual((await post('x'.repeat(500))).status, 413);
  });

  limit('connect_timeout_ms: 1008', async (scene) => scene.closes(await scene.engine(), 1008));

  limit('upgrade_timeout_ms: taken back, and polling goes on', async (scene) => {
    const path = await scene.polling();
    assert.equal((await scene.request('POST', path, { headers: TEXT, body: `40${JSON.stringify({ token: scene.token() })}` })).status, 200);
    const wire = await scene.wire(path.replace('transport=polling', 'transport=websocket'));
    wire.text('2probe');
    assert.equal(await scene.next(wire, 'the answer to the probe'), '3probe');
    await within(wire.ended, 'it is taken back', PATIENCE_MS);
    assert.equal((await scene.request('GET', path)).status, 200);
  });

  limit('fragments_max: 1009', async (scene) => {
    const { wire } = await scene.session();
    wire.send(frame(OP.text, '4', { fin: false }), ...Array.from({ length: 3 }, () => frame(OP.continuation, '6', { fin: false })));
    await scene.closes(wire, 1009);
  });

  limit('attachments_max: 1009', async (scene) => {
    const { wire } = await scene.session();
    wire.text('452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]');
    await scene.closes(wire, 1009);
  });

  limit('json_depth_max: as deep is taken, one deeper is 1002, over HTTP 400', async (scene) => {
    const { wire } = await scene.session();
    wire.text(`421["nobody-knows-it",${nested(7)}]`);
    assert.match(await scene.next(wire, 'an answer', (text) => text.startsWith('431[')), /UNKNOWN_EVENT/);
    wire.text(`42["nobody-knows-it",${nested(8)}]`);
    await scene.closes(wire, 1002);
    const headers = { 'content-type': 'application/json' };
    const { status, body } = await scene.request('POST', '/bams/1/messages', { bearer: scene.token({ bams: ['1'] }), headers, body: nested(9) });
    assert.deepEqual([status, body.code], [400, 'INVALID_PAYLOAD']);
  });

  limit('control_packets_per_second_max: 1008', async (scene) => {
    const { wire } = await scene.session();
    wire.send(...Array.from({ length: 12 }, () => frame(OP.ping, '')));
    await scene.closes(wire, 1008);
  });

  limit('namespaces_max: one more is refused', async (scene) => {
    const { wire } = await scene.session();
    wire.text('40/other,');
    assert.equal(await scene.next(wire, 'a refusal', (text) => text.startsWith('44')), '44/other,{"message":"Too many namespaces"}');
  });

  limit('session_rooms_max: as many are entered, one more is INVALID_STATE', async (scene) => {
    const rooms = [1, 2, 3].map((n) => `${randomUUID()}-${n}`);
    const { wire } = await scene.session({ bams: rooms });
    const answers = [];
    for (const room of rooms) answers.push(await scene.ask(wire, 'join-bam', room));
    assert.deepEqual(answers.map(({ success, error }) => success || error.code), [true, true, 'INVALID_STATE']);
  });

  limit('name_bytes_max: 1008', async (scene) => {
    const { wire } = await scene.session();
    wire.text(`421["${'x'.repeat(32)}"]`);
    assert.match(await scene.next(wire, 'an answer', (text) => text.startsWith('431[')), /UNKNOWN_EVENT/);
    wire.text(`42["${'x'.repeat(33)}"]`);
    await scene.closes(wire, 1008);
  });

  limit('key_guesses_max and key_delay_ms_max: the second guess has to wait, and never longer than that', async (scene) => {
    const guess = () => scene.request('GET', '/websocket/stats', { bearer: scene.keep(`guess-${randomUUID()}`) });
    let waits = 0;
    await eventually('several waits', async () => {
      const { status, body } = await guess();
      assert.ok([401, 429].includes(status));
      if (status === 429) {
        waits += 1;
        assert.ok(body.retryAfterMs <= 1000, String(body.retryAfterMs));
      }
      return waits > 3;
    }, PATIENCE_MS);
  });
});

test('connections_max: all who come at once beyond it get 503 with Retry-After before anybody asks for a token, and those inside go on', { timeout: 60000 }, async (t) => {
  const full = await relais(process.env.RELAIS_BIN, { RELAIS_CONNECTIONS_MAX: '20' });
  const scene = new Scene(full);
  t.after(async () => {
    scene.end();
    await full.remove();
  });
  const inside = [];
  for (let n = 0; n < 20; n += 1) inside.push(await scene.session({ bams: ['1'] }));
  const crowd = await Promise.all(Array.from({ length: 300 }, (_, n) => scene.request('GET', n % 2 ? POLL : `${POLL}&token=nonsense`)));
  for (const { status, headers } of crowd) {
    assert.equal(status, 503);
    assert.ok(Number(headers['retry-after']) > 0);
  }
  for (const { wire } of inside) assert.equal((await scene.ask(wire, 'status-change', 'online')).success, true);
  inside[0].wire.end();
  await eventually('there is room again', async () => (await scene.request('GET', POLL)).status === 200, PATIENCE_MS);
});
