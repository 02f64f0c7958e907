//! kill -9 in the middle of requests, answers and tasks: what was acknowledged is there afterwards, once, and every answer is final.

import test from 'node:test';
import assert from 'node:assert/strict';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { eventually, pause } from '../lib/wait.mjs';
import { SONG, Wedding } from '../lib/wedding.mjs';

const KILLS = 5;

/** Everything of a list, page by page, each thing once. */
async function everything(guest, event, plural, more = {}) {
  const all = [];
  for (let page; !page || page.hasMore; all.push(...page[plural])) {
    page = await guest.ok(event, { ...more, limit: 100, ...(all.length > 0 && { before: all.at(-1).id }) });
  }
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
  return new Map(all.map((one) => [one.id, one]));
}

test('kills while people wish, answer and plan lose nothing that was acknowledged, and double nothing', { timeout: 120000 }, async (t) => {
  const settings = { RELAIS_APP: 'wedding', WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0' };
  const server = await relais(process.env.RELAIS_BIN, settings);
  t.after(() => server.remove());
  const wedding = new Wedding(t, { server });
  const odile = await wedding.arrive('Odile');
  const djs = [await wedding.dj('Marco'), await wedding.dj('Second')];
  const jo = await wedding.arrive('Jo', 'planner');
  const everybody = [odile, ...djs, jo];
  const acked = { asked: new Map(), answered: new Map(), tasks: new Map() };
  let busy = true;
  let n = 0;
  const flow = async (step) => {
    // A refusal or a lost link is no acknowledgement.
    while (busy) await step().catch(() => pause(20));
  };
  /** Sends until it is acknowledged, as a client with a temporary id does. */
  const surely = async (guest, event, payload) => {
    for (;;) {
      const answer = await guest.socket.timeout(2000).emitWithAck(event, payload).catch(() => null);
      if (answer) return answer;
    }
  };
  const open = [];
  const flows = [
    flow(async () => {
      const tempId = `song-${(n += 1)}`;
      const answer = await surely(odile, 'music_request', { ...SONG, songTitle: tempId, tempId });
      assert.equal(answer.success, true, JSON.stringify(answer));
      acked.asked.set(answer.request.id, tempId);
      open.push(answer.request.id);
    }),
    flow(async () => {
      const requestId = open.shift();
      if (!requestId) return pause(5);
      const events = ['accept_music', 'reject_music'];
      const answers = await Promise.all(djs.map((dj, at) => dj.socket.timeout(2000).emitWithAck(events[at], { requestId }).catch(() => null)));
      const won = answers.filter((answer) => answer?.success);
      assert.ok(won.length <= 1, 'one wins');
      for (const { request } of won) acked.answered.set(requestId, request.status);
      return undefined;
    }),
    flow(async () => {
      const tempId = `task-${(n += 1)}`;
      const made = await surely(jo, 'task_update', { tempId, updates: { title: tempId } });
      acked.tasks.set(made.task.id, { title: tempId, status: 'todo' });
      const answer = await jo.socket.timeout(2000).emitWithAck('task_update', { taskId: made.task.id, updates: { status: 'done' } });
      if (answer.success) acked.tasks.get(made.task.id).status = 'done';
    }),
  ];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await pause(200 + Math.random() * 500);
    await server.program.kill();
    await server.program.start();
    await eventually('clients are back', () => everybody.every(({ socket }) => socket.connected), 20000);
  }
  await pause(300);
  busy = false;
  await Promise.all(flows);
  const requests = await everything(djs[0], 'get_requests', 'requests', { kind: 'music' });
  const titles = [...requests.values()].map((request) => request.song_title);
  assert.equal(new Set(titles).size, titles.length, 'no wish is there twice');
  for (const [id, title] of acked.asked) assert.equal(requests.get(id)?.song_title, title);
  for (const [id, status] of acked.answered) assert.equal(requests.get(id).status, status, 'an answer is final');
  const tasks = await everything(odile, 'get_tasks', 'tasks');
  const names = [...tasks.values()].map(({ title }) => title);
  assert.equal(new Set(names).size, names.length, 'no task is there twice');
  for (const [id, { title, status }] of acked.tasks) {
    assert.equal(tasks.get(id)?.title, title);
    if (status === 'done') assert.equal(tasks.get(id).status, 'done');
  }
  // What sessions were told is what is there, once each, in the order of the log.
  for (const guest of everybody) await guest.settled();
  const answered = [...requests.values()].filter(({ status }) => status !== 'pending');
  for (const guest of [odile, ...djs]) {
    const told = guest.all('music_request_updated');
    assert.equal(told.length, answered.length, `${guest.name} is told once of each answer`);
    for (const { id, status } of told) assert.equal(requests.get(id).status, status);
  }
  for (const dj of djs) assert.deepEqual(dj.all('music_request').map(({ id }) => id).sort(), [...requests.keys()].sort());
  t.diagnostic(`${KILLS} kills; acked ${acked.asked.size} wishes, ${acked.answered.size} answers, ${acked.tasks.size} tasks; kept ${requests.size}, ${answered.length}, ${tasks.size}`);
  assert.ok(acked.asked.size > 0 && acked.answered.size > 0 && acked.tasks.size > 0);
});

test('a tempId, a final answer and an assignee are the same after a kill', { timeout: 60000 }, async (t) => {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'wedding', WS_PORT: String(await freePort()) });
  t.after(() => server.remove());
  const wedding = new Wedding(t, { server });
  const [odile, dj, jo] = [await wedding.arrive('Odile'), await wedding.dj(), await wedding.arrive('Jo', 'planner')];
  const message = await odile.say('once', { tempId: 'm' });
  const request = await odile.song({ tempId: 'r' });
  await dj.ok('accept_music', { requestId: request.id });
  const task = await jo.task({ title: 'Cake', assignedTo: odile.id }, { tempId: 't' });
  const { photo } = await odile.ok('new_photo', { url: 'https://photos.example.org/1.jpg', tempId: 'p' });
  await server.program.kill();
  await server.program.start();
  await eventually('clients are back', () => [odile, dj, jo].every(({ socket }) => socket.connected), 20000);
  assert.deepEqual(await odile.say('once', { tempId: 'm' }), message);
  assert.equal((await odile.song({ tempId: 'r' })).id, request.id);
  assert.deepEqual(await jo.task({ title: 'Cake', assignedTo: odile.id }, { tempId: 't' }), task);
  assert.deepEqual((await odile.ok('new_photo', { url: photo.url, tempId: 'p' })).photo, photo);
  await odile.refused('IDEMPOTENCY_CONFLICT', 'music_request', { ...SONG, artist: 'other', tempId: 'r' });
  await dj.refused('INVALID_STATE', 'reject_music', { requestId: request.id });
  await odile.task({ status: 'done' }, { taskId: task.id });
  assert.equal((await odile.say('next')).seq, 2);
});
