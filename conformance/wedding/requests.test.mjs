//! Songs and the microphone: who hears of a request, who may answer it, one answer each, and who reads the list.

import test from 'node:test';
import assert from 'node:assert/strict';
import { unique } from '../lib/bam.mjs';
import { SONG, SPEECH, Wedding, assertFields, assertStored } from '../lib/wedding.mjs';

const BY = ['status', 'requested_by', 'requester_name', 'created_at'];
const MUSIC = ['id', 'song_title', 'artist', 'dedicated_to', ...BY];
const MIC = ['id', 'purpose', 'duration', 'urgent', ...BY];

const KINDS = [
  { kind: 'music', ask: 'music_request', payload: SONG, yes: 'accept_music', no: 'reject_music', done: 'accepted' },
  { kind: 'mic', ask: 'mic_request', payload: SPEECH, yes: 'approve_mic', no: 'reject_mic', done: 'approved' },
];

/** A DJ with two sessions, one who asks with two, an admin and a stranger. */
async function party(t) {
  const wedding = new Wedding(t);
  const [dj, asking] = [wedding.person('Marco', 'dj'), wedding.person('Odile')];
  const [desk, phone] = [await wedding.arrive(dj), await wedding.arrive(dj)];
  const [odile, again] = [await wedding.arrive(asking), await wedding.arrive(asking)];
  const [admin, max] = [await wedding.arrive('Ada', 'admin'), await wedding.arrive('Max')];
  return { wedding, desk, phone, odile, again, admin, max };
}

test('a song goes to every DJ, pending, and to nobody else', async (t) => {
  const { wedding, desk, phone, odile, again, admin, max } = await party(t);
  const other = await wedding.dj('Second');
  const answer = await odile.ok('music_request', { ...SONG, dedicatedTo: 'Pour les mariés!', status: 'accepted', requested_by: 'forged' });
  assertFields(answer, 'success', 'request');
  const { request } = answer;
  assertFields(request, ...MUSIC);
  assertStored(request, 'created_at');
  const { id, created_at, ...rest } = request;
  assert.deepEqual(rest, {
    song_title: SONG.songTitle, artist: SONG.artist, dedicated_to: 'Pour les mariés!', status: 'pending', requested_by: odile.id, requester_name: 'Odile',
  });
  for (const guest of [desk, phone, other]) assert.deepEqual(await guest.heard('music_request'), [request]);
  for (const guest of [odile, again, admin, max]) assert.deepEqual(await guest.heard('music_request'), []);
  assert.equal((await odile.song()).dedicated_to, null);
});

test('a wish for the microphone goes to every DJ, urgent', async (t) => {
  const { desk, phone, odile, again, admin, max } = await party(t);
  const { request } = await odile.ok('mic_request', SPEECH);
  assertFields(request, ...MIC);
  assertStored(request, 'created_at');
  const { id, created_at, ...rest } = request;
  assert.deepEqual(rest, { ...SPEECH, urgent: true, status: 'pending', requested_by: odile.id, requester_name: 'Odile' });
  for (const guest of [desk, phone]) assert.deepEqual(await guest.heard('mic_request'), [request]);
  for (const guest of [odile, again, admin, max]) assert.deepEqual(await guest.heard('mic_request'), []);
});

for (const { kind, ask, payload, yes, no, done } of KINDS) {
  const updated = `${kind}_request_updated`;

  for (const [event, status] of [[yes, done], [no, 'rejected']]) {
    test(`${event}: every DJ and the one who asked are told once in each session, and it is final`, async (t) => {
      const { desk, phone, odile, again, admin, max } = await party(t);
      const { request } = await odile.ok(ask, payload);
      const answer = await desk.ok(event, { requestId: request.id });
      assertFields(answer, 'success', 'request');
      assert.deepEqual(answer.request, { ...request, status });
      for (const guest of [desk, phone, odile, again]) {
        const told = await guest.heard(updated);
        assert.equal(told.length, 1);
        const expected = { ...request, kind, status };
        delete expected.urgent;
        if (expected.dedicated_to === null) delete expected.dedicated_to;
        assert.deepEqual(told[0], expected);
      }
      for (const guest of [admin, max]) assert.deepEqual(await guest.heard(updated), []);
      for (const second of [yes, no]) await admin.refused('INVALID_STATE', second, { requestId: request.id });
      assert.equal((await odile.heard(updated)).length, 1);
    });
  }

  test(`${kind}: an admin may answer, a DJ may answer a wish of their own, and nobody else may`, async (t) => {
    const { wedding, desk, odile, admin, max } = await party(t);
    const [couple, planner] = [await wedding.arrive('Camille', 'couple'), await wedding.arrive('Jo', 'planner')];
    const nobody = await wedding.arrive('Emma', 'emperor');
    const requestId = (await odile.ok(ask, payload)).request.id;
    for (const guest of [odile, max, couple, planner, nobody]) {
      for (const event of [yes, no]) await guest.refused('FORBIDDEN', event, { requestId });
    }
    await admin.ok(yes, { requestId });
    const own = (await desk.ok(ask, payload)).request.id;
    await desk.ok(no, { requestId: own });
    const told = (await desk.heard(updated)).filter(({ id }) => id === own);
    assert.equal(told.length, 1, 'told once to a DJ who is also the one who asked');
  });

  test(`${kind}: of two who answer at once one wins, the other gets INVALID_STATE, and all are told once`, async (t) => {
    const { wedding, desk, odile } = await party(t);
    const second = await wedding.dj('Second');
    const events = [[desk, yes], [second, no]];
    for (let round = 0; round < 12; round += 1) {
      const { id } = (await odile.ok(ask, payload)).request;
      const order = round % 2 ? events : [...events].reverse();
      const answers = await Promise.all(order.map(([guest, event]) => guest.ask(event, { requestId: id })));
      const [won, lost] = answers[0].success ? answers : [...answers].reverse();
      assert.equal(won.success, true);
      assert.equal(lost.error?.code, 'INVALID_STATE', JSON.stringify(lost));
      for (const guest of [desk, second, odile]) {
        const told = (await guest.heard(updated)).filter((one) => one.id === id);
        assert.deepEqual(told.map(({ status }) => status), [won.request.status]);
      }
    }
  });

  test(`${kind}: a request that is not there is NOT_FOUND, also under the other kind’s events`, async (t) => {
    const { desk, odile } = await party(t);
    const missing = '00000000-0000-7000-8000-000000000000';
    for (const event of [yes, no]) await desk.refused('NOT_FOUND', event, { requestId: missing });
    const other = KINDS.find((one) => one.kind !== kind);
    const { request } = await odile.ok(other.ask, other.payload);
    for (const event of [yes, no]) await desk.refused('NOT_FOUND', event, { requestId: request.id });
  });

  test(`${kind}: a tempId stands for one request`, async (t) => {
    const { desk, odile, max } = await party(t);
    const tempId = unique('temp');
    const answers = await Promise.all([1, 2, 3].map(() => odile.ok(ask, { ...payload, tempId })));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    const field = kind === 'music' ? 'artist' : 'purpose';
    await odile.refused('IDEMPOTENCY_CONFLICT', ask, { ...payload, [field]: 'other', tempId });
    assert.equal((await desk.heard(ask)).length, 1);
    assert.notEqual((await max.ok(ask, { ...payload, tempId })).request.id, answers[0].request.id, 'somebody else’s is another');
  });

  test(`${kind}: DJs and admins read all requests, others their own, by status and page by page`, async (t) => {
    const { desk, odile, admin, max } = await party(t);
    const made = [];
    for (const guest of [odile, max, odile, max, odile]) made.unshift((await guest.ok(ask, payload)).request);
    await desk.ok(yes, { requestId: made[0].id });
    await desk.ok(no, { requestId: made[1].id });
    const ids = (page) => page.requests.map(({ id }) => id);
    const all = made.map(({ id }) => id);
    for (const guest of [desk, admin]) {
      const page = await guest.ok('get_requests', { kind });
      assertFields(page, 'success', 'requests', 'hasMore');
      assert.deepEqual([ids(page), page.hasMore], [all, false]);
      assert.deepEqual(page.requests.map(({ status }) => status), [done, 'rejected', 'pending', 'pending', 'pending']);
    }
    assert.deepEqual(ids(await odile.ok('get_requests', { kind })), [all[0], all[2], all[4]]);
    assert.deepEqual(ids(await max.ok('get_requests', { kind })), [all[1], all[3]]);
    assert.deepEqual(ids(await desk.ok('get_requests', { kind, status: 'pending' })), all.slice(2));
    assert.deepEqual(ids(await desk.ok('get_requests', { kind, status: done })), [all[0]]);
    assert.deepEqual(ids(await max.ok('get_requests', { kind, status: 'rejected' })), [all[1]]);
    const other = KINDS.find((one) => one.kind !== kind).kind;
    assert.deepEqual(ids(await desk.ok('get_requests', { kind: other })), []);
    const walked = [];
    for (let page; !page || page.hasMore; walked.push(...ids(page))) {
      page = await desk.ok('get_requests', { kind, limit: 2, ...(walked.length > 0 && { before: walked.at(-1) }) });
    }
    assert.deepEqual(walked, all);
  });
}

test('a reason for a refusal is told with it and kept', async (t) => {
  const { desk, odile } = await party(t);
  const request = await odile.song();
  await desk.ok('reject_music', { requestId: request.id, reason: 'Not tonight' });
  const told = await odile.next('music_request_updated');
  assert.deepEqual([told.id, told.status, told.reason], [request.id, 'rejected', 'Not tonight']);
  const [kept] = (await odile.ok('get_requests', { kind: 'music' })).requests;
  assert.deepEqual(kept, told);
});
