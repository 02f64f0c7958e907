//! SIGTERM: a drain closes transports so that clients come back, flushes acks first, and sessions resume after the restart.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Load } from '../lib/load.mjs';
import { token, unique } from '../lib/bam.mjs';
import { relais } from '../lib/servers.mjs';
import { freePort } from '../lib/process.mjs';
import { Wire } from '../lib/wire.mjs';
import { eventually, pause, within } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const DRAIN_MS = 30000;

test('SIGTERM under load: /readyz says 503, every transport is closed with 1012, acks are flushed, all sessions resume', { timeout: 120000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0', RELAIS_DRAIN_SECONDS: '2' });
  const load = new Load(server);
  t.after(async () => {
    load.close();
    await server.remove();
  });
  const wire = await Wire.open(server.url, '/socket.io/?EIO=4&transport=websocket');
  await wire.next('the OPEN packet');
  wire.text(`40${JSON.stringify({ token: token({ sub: unique('raw') }, server.secrets.JWT_SECRET) })}`);
  await wire.next('the answer to CONNECT');
  await load.start({ senders: 10, receivers: 3 });
  await pause(500);

  let over = false;
  const readiness = [];
  const watching = (async () => {
    while (!over) {
      await fetch(`${server.url}/readyz`).then((response) => readiness.push(response.status), () => {});
      await pause(5);
    }
  })();
  const closed = wire.closeCode();
  const ended = server.program.stop(DRAIN_MS + 2000);
  assert.equal(await closed, 1012);
  const how = await ended;
  over = true;
  await watching;
  assert.deepEqual(how, { code: 0, signal: null });
  assert.ok(readiness.includes(503), `readyz while draining: ${[...new Set(readiness)]}`);

  await server.program.start();
  await load.reconnected(10000);
  await load.finish();
  const stored = await load.account();
  const { total, fresh } = load.returns();
  assert.ok(total >= load.clients.length);
  assert.equal(fresh, 0, 'every session resumes');
  t.diagnostic(`${load.acked.size} acked, ${stored.length} stored, ${total} returns, all recovered`);
});

test('over polling the close packet of a drain comes alone, for a stock client would forget the offsets of events beside it', { timeout: 60000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()), RELAIS_DRAIN_SECONDS: '1' });
  t.after(() => server.remove());
  const person = { id: unique('poller') };
  person.token = token({ sub: person.id, bams: ['1'] }, server.secrets.JWT_SECRET);
  const opened = await (await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`)).text();
  const url = `${server.url}/socket.io/?EIO=4&transport=polling&sid=${JSON.parse(opened.slice(1)).sid}`;
  const post = async (body) => assert.equal((await fetch(url, { method: 'POST', body })).status, 200);
  await post(`40${JSON.stringify({ token: person.token })}`);
  for (let text = ''; !text.includes('"connected"'); ) text = await (await fetch(url)).text();
  await post('420["join-bam","1"]');
  // Nothing more is polled, so that acks and events of these wait beside the close packet.
  for (let n = 1; n <= 5; n += 1) await post(`42${n}${JSON.stringify(['send-message', { bamId: '1', content: `${n}` }])}`);
  const ended = server.program.stop(DRAIN_MS);
  await eventually('the drain has begun', async () => (await fetch(`${server.url}/readyz`)).status === 503);
  await pause(300);
  const payloads = [];
  while (!payloads.flat().includes('1')) {
    const response = await fetch(url);
    assert.equal(response.status, 200, `after ${JSON.stringify(payloads)}`);
    payloads.push((await response.text()).split('\x1e'));
  }
  await ended;
  assert.deepEqual(payloads.at(-1), ['1']);
  const messages = payloads.flat().filter((packet) => packet.startsWith('42["new-message"'));
  assert.equal(messages.length, 5);
});

test('what was taken before SIGTERM is acknowledged before the transport closes', { timeout: 60000 }, async (t) => {
  const server = await relais(BIN, { WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0', RELAIS_DRAIN_SECONDS: '1' });
  t.after(() => server.remove());
  const load = new Load(server);
  t.after(() => load.close());
  await load.start({ senders: 1, receivers: 0 });
  await load.finish();
  const [sender] = load.senders;
  const wire = await Wire.open(server.url, '/socket.io/?EIO=4&transport=websocket');
  await wire.next('the OPEN packet');
  wire.text(`40${JSON.stringify({ token: sender.token })}`);
  await wire.next('the answer to CONNECT');
  wire.text(`420${JSON.stringify(['join-bam', load.bam])}`);
  const total = 40;
  for (let n = 1; n <= total; n += 1) wire.text(`42${n}${JSON.stringify(['send-message', { bamId: load.bam, content: `${n}`, tempId: `last-${n}` }])}`);
  const acks = new Set();
  // The first ack shows that the server is in the midst of them.
  const reading = (async () => {
    for (;;) {
      const { opcode, text } = await wire.next('a frame');
      if (opcode === 8) return;
      const ack = /^43(\d+)\[\{"success":true/.exec(text);
      if (!ack || ack[1] === '0') continue;
      acks.add(`last-${ack[1]}`);
    }
  })();
  await eventually('the first ack', () => acks.size > 0, DRAIN_MS);
  const ended = server.program.stop(DRAIN_MS);
  await within(Promise.race([reading, wire.ended]), 'the transport closes', DRAIN_MS);
  await ended;
  await server.program.start();
  const stored = (await load.history()).map((message) => message.tempId).filter((tempId) => tempId.startsWith('last-'));
  assert.ok(acks.size > 0);
  assert.deepEqual([...acks].sort(), stored.sort(), 'acknowledged and stored are the same set');
  t.diagnostic(`${acks.size} of ${total} were taken, and all of those acknowledged`);
});
