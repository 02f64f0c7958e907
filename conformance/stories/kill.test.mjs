//! kill -9 in the middle: what was acknowledged is there afterwards, in inboxes and memberships, once; the rest is there or not,
//! but never half.

import test from 'node:test';
import assert from 'node:assert/strict';
import { freePort } from '../lib/process.mjs';
import { relais } from '../lib/servers.mjs';
import { Stage } from '../lib/stories.mjs';
import { eventually, pause } from '../lib/wait.mjs';

const KILLS = 5;

test('kills while people follow and are notified lose nothing that was acknowledged, and double nothing', { timeout: 120000 }, async (t) => {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'stories', WS_PORT: String(await freePort()), RELAIS_EVENTS_PER_SECOND_MAX: '0' });
  t.after(() => server.remove());
  const stage = new Stage(t, server);
  const author = stage.person('Inès', { role: 'author' });
  const ines = await stage.connect(author);
  const reader = stage.person('Tom');
  const tom = await stage.connect(reader);
  const acked = { sent: new Set(), followers: new Set() };
  let busy = true;
  let n = 0;
  const flow = async (step) => {
    // A refusal or a lost link is no acknowledgement; that step is simply not counted.
    while (busy) await step().catch(() => pause(20));
  };
  const flows = [
    flow(async () => {
      const title = `${(n += 1)}`;
      const answer = await ines.socket.timeout(2000).emitWithAck('send:notification', { userId: reader.id, notification: { title, message: 'M' } });
      if (answer.success) acked.sent.add(title);
    }),
    flow(async () => {
      const title = `${(n += 1)}`;
      await stage.notify(reader.id, { title });
      acked.sent.add(title);
    }),
    flow(async () => {
      const fan = await stage.connect(`fan ${(n += 1)}`);
      const answer = await fan.socket.timeout(2000).emitWithAck('follow', { authorId: author.id });
      if (answer.success) acked.followers.add(fan.id);
      fan.close();
    }),
  ];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await pause(200 + Math.random() * 500);
    await server.program.kill();
    await server.program.start();
    await eventually('clients are back', () => ines.socket.connected && tom.socket.connected, 20000);
  }
  await pause(300);
  busy = false;
  await Promise.all(flows);
  const everything = async (session) => {
    const all = [];
    for (let page; !page || page.hasMore; all.push(...page.notifications)) {
      page = await session.page({ limit: 100, ...(all.length > 0 && { before: all.at(-1).id }) });
    }
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    return all;
  };
  const kept = (await everything(tom)).map(({ title }) => title);
  assert.equal(new Set(kept).size, kept.length, 'nothing is there twice');
  // An inbox holds the newest thousand.
  if (kept.length < 1000) for (const title of acked.sent) assert.ok(kept.includes(title), `${title} of ${acked.sent.size}`);
  const followers = (await everything(ines)).filter(({ type }) => type === 'follower').map(({ data }) => data.userId);
  assert.equal(new Set(followers).size, followers.length, 'each follower is told once');
  for (const id of acked.followers) assert.ok(followers.includes(id), `the follow of ${id}`);
  // Whoever is told to follow does follow: the notification and its cause are one.
  const some = followers.slice(0, 5).map((id) => stage.person('fan', { id }));
  const sessions = await Promise.all(some.map((fan) => stage.connect(fan)));
  await ines.ok('profile:updated', { bio: 'after' });
  for (const session of sessions) assert.equal((await session.next('profile:updated')).profile.bio, 'after');
  t.diagnostic(`${KILLS} kills, ${acked.sent.size} notifications and ${acked.followers.size} follows acknowledged, ${kept.length} and ${followers.length} kept`);
  assert.ok(acked.sent.size > 0 && acked.followers.size > 0);
});

test('what was read stays read, and memberships stay, over a kill', { timeout: 60000 }, async (t) => {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: 'stories', WS_PORT: String(await freePort()), RELAIS_INBOX_MAX: '3' });
  t.after(() => server.remove());
  const stage = new Stage(t, server);
  const [ines, tom] = [await stage.author('Inès'), await stage.connect('Tom')];
  await tom.ok('follow', { authorId: ines.id });
  const sent = [];
  for (let n = 0; n < 5; n += 1) sent.unshift(await stage.notify(tom.id, { title: `${n}` }));
  assert.deepEqual(await tom.ok('notification:read', { id: sent[1].id }), { success: true, unread: 2 });
  const before = await tom.page();
  assert.deepEqual(before.notifications.map(({ title, read }) => [title, read]), [['4', false], ['3', true], ['2', false]], 'an inbox of three');
  await tom.refused('NOT_FOUND', 'notification:read', { id: sent[3].id });
  await server.program.kill();
  await server.program.start();
  await eventually('clients are back', () => ines.socket.connected && tom.socket.connected, 20000);
  assert.deepEqual(await tom.page(), before);
  await ines.ok('profile:updated', { bio: 'x' });
  assert.equal((await tom.next('profile:updated')).userId, ines.id);
});
