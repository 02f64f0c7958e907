//! Who may stay and how many may come, the same for every app: a token that ends, and an address that connects too often.
//!
//! In: how to enter, from a test that knows its app. Out: assertions. Clients are those of `bam.mjs` or `plain.mjs`.

import assert from 'node:assert/strict';
import { relais } from './servers.mjs';
import { now } from './token.mjs';
import { Wire, handshake } from './wire.mjs';

/** So many may come from one address, so that a test is soon over it. */
const ALLOWED = 3;

/**
 * A token that is about to end is announced; a new one of the same user renews the session in place; without one it is closed.
 * `enter(claims)` gives a greeted client, `sign(claims)` a token, `refused(client)` the code that a client is told at the end.
 */
export async function renewal({ enter, sign, refused }) {
  const who = { sub: `brief-${crypto.randomUUID()}`, name: 'Brief' };
  // Within the leeway of five seconds.
  const [renewing, ending] = [await enter({ ...who, exp: now() + 30 }), await enter({ ...who, exp: now() - 2 })];
  for (const client of [renewing, ending]) assert.match((await client.next('auth:expiring')).expiresAt, /^\d{4}-\d\d-\d\dT.*\.\d{3}Z$/);
  const bad = [
    [{}, 'INVALID_PAYLOAD'],
    [{ token: 7 }, 'INVALID_PAYLOAD'],
    [{ token: 'nonsense' }, 'TOKEN_INVALID'],
    [{ token: sign({ sub: 'somebody-else' }) }, 'TOKEN_INVALID'],
    [{ token: sign({ ...who, exp: now() - 60 }) }, 'TOKEN_EXPIRED'],
  ];
  for (const [payload, code] of bad) assert.equal((await renewing.ask('auth:refresh', payload)).error?.code, code, JSON.stringify(payload).slice(0, 40));
  const { expiresAt } = await renewing.ok('auth:refresh', { token: sign(who) });
  assert.ok(Date.parse(expiresAt) > Date.now() + 600_000);
  assert.equal(await refused(ending), 'TOKEN_EXPIRED');
  await renewing.ok('auth:refresh', { token: sign(who) });
}

/**
 * Of those who connect from one address within a minute, one more than allowed is refused with 429 and the time to wait, before it is a
 * WebSocket; those who are in go on, and another address comes in. `enter(server, name)` gives a greeted client.
 */
export async function crowded(t, { app, path, enter, goOn }) {
  const server = await relais(process.env.RELAIS_BIN, { RELAIS_APP: app, RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX: String(ALLOWED) });
  t.after(() => server.remove());
  const inside = [];
  for (let n = 0; n < ALLOWED; n += 1) inside.push(await enter(server, `user-${n}`));
  const knock = async (from) => {
    const wire = await Wire.request(server.url, handshake(path, new URL(server.url).host), { from });
    t.after(() => wire.end());
    return wire.head;
  };
  const { status, headers } = await knock('127.0.0.1');
  assert.equal(status, 429);
  assert.ok(Number(headers.get('retry-after')) > 0);
  assert.equal((await knock('127.0.0.2')).status, 101);
  for (const client of inside) await goOn(client);
}
