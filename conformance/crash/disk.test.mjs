//! A disk that fills up: writes are refused with STORAGE_FULL, reads live, and it heals by itself.
//!
//! The data folder is a small filesystem of its own (a tmpfs), which only root may mount.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { http, token, unique } from '../lib/bam.mjs';
import { relais } from '../lib/servers.mjs';
import { freePort } from '../lib/process.mjs';
import { ask, connected, start } from '../lib/stock.mjs';
import { eventually } from '../lib/wait.mjs';

const BIN = process.env.RELAIS_BIN;
const SIZE_MB = 24;
const LEAVE_BYTES = 200_000;

/** A filesystem of its own; gone after the test. */
function smallDisk(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'relais-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m`, 'tmpfs', folder]);
  assert.equal(mounted.status, 0, `unable to mount: ${mounted.stderr}`);
  t.after(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Fills the disk with a file until so many bytes are left. */
function fill(folder, leave) {
  const file = path.join(folder, 'filler');
  const handle = openSync(file, 'a');
  const block = Buffer.alloc(64 * 1024);
  for (;;) {
    const { bavail, bsize } = statfsSync(folder);
    const room = bavail * bsize - leave;
    if (room <= 0) break;
    writeSync(handle, block, 0, Math.min(block.length, room));
  }
  fsyncSync(handle);
  closeSync(handle);
  return () => rmSync(file);
}

test('a full disk refuses writes with STORAGE_FULL, answers reads, and heals when there is room again', { skip: process.getuid() !== 0 && 'needs root, to mount a small filesystem', timeout: 120000 }, async (t) => {
  const disk = smallDisk(t);
  const server = await relais(BIN, { RELAIS_DATA: path.join(disk, 'data'), WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0' });
  t.after(() => server.remove());
  const { url } = server;
  const bam = unique('bam');
  const bearer = token({ sub: unique('alice'), name: 'Alice', bams: [bam] }, server.secrets.JWT_SECRET);
  const { socket } = start(url, { transports: ['websocket'], auth: { token: bearer } });
  t.after(() => socket.close());
  await connected(socket);
  assert.equal((await ask(socket, 'join-bam', bam))[0].success, true);
  const acked = [];
  let sent = 0;
  const say = async (tempId = `temp-${(sent += 1)}`) => {
    const [answer] = await ask(socket, 'send-message', { bamId: bam, content: `${tempId} ${'x'.repeat(3000)}`, tempId });
    if (answer.success) acked.push(answer.message);
    return answer;
  };
  for (let n = 0; n < 20; n += 1) assert.equal((await say()).success, true);

  const empty = fill(disk, LEAVE_BYTES);
  let refusal = null;
  for (let n = 0; n < 2000 && !refusal; n += 1) {
    const answer = await say();
    if (!answer.success) refusal = answer.error;
  }
  assert.ok(refusal, 'the disk was not full after 2000 messages');
  assert.deepEqual([refusal.code, refusal.retryable], ['STORAGE_FULL', true], JSON.stringify(refusal));
  const byHttp = await http('POST', `/bams/${bam}/messages`, { url, token: bearer, body: { text: 'x'.repeat(3000), tempId: 'by-http' } });
  assert.deepEqual([byHttp.status, byHttp.body.code, byHttp.body.retryable], [507, 'STORAGE_FULL', true]);

  assert.equal((await http('GET', '/healthz', { url })).status, 200, 'the process lives');
  const page = await http('GET', `/bams/${bam}/messages?after=0&limit=5`, { url, token: bearer });
  assert.deepEqual(page.body.messages.map((message) => message.seq), [1, 2, 3, 4, 5], 'reads are answered');
  assert.equal((await ask(socket, 'get-messages', { bamId: bam }))[0].success, true);
  assert.equal(socket.connected, true, 'the session lives');

  empty();
  const tempId = `temp-${sent}`;
  await eventually('the refused message is taken, with the same tempId', async () => (await say(tempId)).success, 20000);
  for (let n = 0; n < 5; n += 1) assert.equal((await say()).success, true);
  await server.program.kill();
  await server.program.start();
  const seqs = [];
  for (let after = 0, more = true; more; after = seqs.at(-1)) {
    const { body } = await http('GET', `/bams/${bam}/messages?after=${after}&limit=100`, { url, token: bearer });
    seqs.push(...body.messages.map((message) => message.seq));
    more = body.hasMore;
  }
  assert.deepEqual(seqs, Array.from({ length: acked.length }, (_, n) => n + 1), 'what was acknowledged is there, and nothing else');
  t.diagnostic(`${acked.length} acknowledged and stored on a disk of ${SIZE_MB} MB that was full in between`);
});
