//! Engine.IO v4 over HTTP: payloads, their limits, requests that overlap or break off, heartbeats, closing.

import test from 'node:test';
import assert from 'node:assert/strict';
import { MAX_PAYLOAD, PING_INTERVAL_MS, PING_TIMEOUT_MS, Polling, SEPARATOR, SLACK_MS, assertRefused, request } from '../lib/engine.mjs';
import { eventually, pause, within } from '../lib/wait.mjs';

test('a POST is answered 200 with the word ok', async () => {
  const session = await Polling.open();
  const response = await session.post('4hello');
  assert.equal(response.status, 200);
  assert.equal(await response.text(), 'ok');
  assert.deepEqual(await session.packets(), ['4hello']);
});

test('several packets of one payload are separated by 0x1e, and keep their order', async () => {
  const session = await Polling.open();
  await session.post(['4test1', '4test2', '4test3'].join(SEPARATOR));
  assert.deepEqual(await session.packets(), ['4test1', '4test2', '4test3']);
});

test('binary packets travel as b and base64', async () => {
  const session = await Polling.open();
  await session.post(`4hello${SEPARATOR}bAQIDBA==`);
  assert.deepEqual(await session.packets(), ['4hello', 'bAQIDBA==']);
});

test('what a poll answers is UTF-8 text, with or without bytes in it', async () => {
  const session = await Polling.open();
  await session.post('bAQIDBA==');
  const response = await session.get();
  assert.match(response.headers.get('content-type'), /^text\/plain; ?charset=utf-8$/i);
  assert.equal(await response.text(), 'bAQIDBA==');
});

test('a POST without a content type is text', async () => {
  const session = await Polling.open();
  const posted = await request(session.url, { method: 'POST', body: Buffer.from('4plain') });
  assert.equal(await posted.text(), 'ok');
  assert.deepEqual(await session.packets(), ['4plain']);
});

for (const parameter of ['EIO', 'transport']) {
  test(`a poll and a POST of a session that leave out ${parameter} are refused with 400`, async () => {
    const session = await Polling.open();
    const url = session.url.replace(new RegExp(`${parameter}=[^&]*&`), '');
    assert.equal((await request(url)).status, 400);
    assert.equal((await request(url, { method: 'POST', body: '4hello' })).status, 400);
  });
}

for (const method of ['GET', 'POST']) {
  test(`${method} with a session id that nobody has is refused with 400`, async () => {
    const url = '/engine.io/?EIO=4&transport=polling&sid=abcdefghijklmnopqrst';
    await assertRefused(await request(url, { method, body: method === 'POST' ? '4hello' : undefined }), 400, 1, 'Session ID unknown');
  });
}

test('text of every width of UTF-8 comes back as it was', async () => {
  const session = await Polling.open();
  await session.post('4 é € 😀 \u0000 "');
  assert.deepEqual(await session.packets(), ['4 é € 😀 \u0000 "']);
});

test('a waiting poll is released by a packet as soon as there is one', async () => {
  const session = await Polling.open();
  const poll = session.get();
  await session.post('4now');
  assert.equal(await (await poll).text(), '4now');
});

test('a payload just under the limit is taken whole', async () => {
  const session = await Polling.open();
  const text = `4${'x'.repeat(MAX_PAYLOAD - 10)}`;
  assert.equal((await session.post(text)).status, 200);
  assert.deepEqual(await session.packets(), [text]);
});

test('a payload over the limit is refused with 413', async () => {
  const session = await Polling.open();
  assert.equal((await session.post(`4${'x'.repeat(MAX_PAYLOAD)}`)).status, 413);
});

for (const [what, body] of [
  ['of an unknown type', 'abc'],
  ['with no type at all', ''],
]) {
  test(`a packet ${what} closes the session`, async () => {
    const session = await Polling.open();
    await session.post(body).catch(() => {});
    await session.assertGone();
  });
}

test('a POST of raw bytes is refused with 400 and closes the session', async () => {
  const session = await Polling.open();
  const response = await session.post(Buffer.from([4, 1, 2, 3]), { 'content-type': 'application/octet-stream' });
  assert.equal(response.status, 400);
  await session.assertGone();
});

test('a second POST beside an unfinished one is refused with 400, and the session is over', async () => {
  const session = await Polling.open();
  const first = session.unfinishedPost('4hello');
  // Pongs, so that only the overlap can be what ends it.
  await eventually('the second POST overlaps', async () => (await session.post('3')).status === 400);
  await session.assertGone();
  first.destroy();
});

test('a second poll beside a waiting one is refused with 400, and the session is over for both', async () => {
  const session = await Polling.open();
  const first = session.get();
  // Which of two simultaneous requests comes first is the network's choice: exactly one of them must be refused.
  const second = session.get();
  const answers = await Promise.all([first, second]);
  const statuses = answers.map((answer) => answer.status).sort();
  assert.deepEqual(statuses, [200, 400]);
  const released = await answers.find((answer) => answer.status === 200).text();
  assert.ok(['1', '6'].includes(released), `the waiting poll ends with a close or noop packet, not ${released}`);
  await session.assertGone();
});

test('a poll that is torn away closes the session', async () => {
  for (;;) {
    const session = await Polling.open();
    const poll = session.tornGet();
    let answered = false;
    poll.on('response', (response) => {
      answered = true;
      response.resume();
    });
    await within(new Promise((resolve) => poll.on('finish', resolve)), 'the poll is sent');
    // The POST behind it on another connection gives it the time to arrive.
    await session.post('3');
    await pause(50);
    poll.destroy();
    // On a slow day the heartbeat has released it already, and there was nothing to tear.
    if (answered) continue;
    // Pongs, so that only the torn poll can be what ends it.
    await eventually('the session is closed', async () => (await session.post('3')).status === 400);
    return;
  }
});

test('a close packet releases the waiting poll with a noop and ends the session', async () => {
  const session = await Polling.open();
  const poll = session.get();
  await pause(20);
  assert.equal((await session.post('1')).status, 200);
  assert.equal(await (await poll).text(), '6');
  await session.assertGone();
});

test('the server pings at the interval, and a session that answers lives', async () => {
  const session = await Polling.open();
  for (let beat = 0; beat < 4; beat += 1) {
    assert.equal(await (await session.get()).text(), '2');
    assert.equal((await session.post('3')).status, 200);
  }
});

test('the first ping comes after the interval, not before', async () => {
  const began = Date.now();
  const session = await Polling.open();
  assert.equal(await (await session.get()).text(), '2');
  const waited = Date.now() - began;
  assert.ok(waited >= PING_INTERVAL_MS - 50, `pinged after ${waited} ms`);
});

test('a session that never answers is forgotten after interval and timeout', async () => {
  const session = await Polling.open();
  await pause(PING_INTERVAL_MS + PING_TIMEOUT_MS);
  // A poll is answered at once, with 400, when the session has gone; POST asks without keeping it alive.
  await eventually('the session is forgotten', async () => (await session.post('6')).status === 400, SLACK_MS);
  await session.assertGone();
});

test('an error body says what is wrong for every method of a session that is gone', async () => {
  const session = await Polling.open();
  await session.post('1');
  await assertRefused(await session.get(), 400, 1, 'Session ID unknown');
  await assertRefused(await session.post('4hello'), 400, 1, 'Session ID unknown');
});

test('polls of different sessions do not mix', async () => {
  const sessions = await Promise.all(Array.from({ length: 10 }, () => Polling.open()));
  await Promise.all(sessions.map((session, index) => session.post(`4mine ${index}`)));
  const got = await Promise.all(sessions.map((session) => session.packets()));
  assert.deepEqual(got, sessions.map((_, index) => [`4mine ${index}`]));
});
