//! A school for the tests beside it: a class of its own for each test, its people over the plain JSON WebSocket, and its HTTP routes.
//!
//! In: a test and a server whose root app is `classroom`. Out: people who are connected, closed at the end of their test.

import assert from 'node:assert/strict';
import { called } from '../lib/witness.mjs';
import { House, unique } from '../plain/house.mjs';

export { unique };
export const ISO_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export class School extends House {
  constructor(t, server) {
    super(t, server);
    this.roomId = unique('class');
  }

  /** Claims of somebody whose token names the class. */
  pupil(name, role = 'student', rooms = [this.roomId]) {
    return { sub: unique(name), name: `${name} ${unique('x').slice(-4)}`, role, rooms };
  }

  /** Somebody on the one connection for all rooms. */
  async arrive(name, role, rooms) {
    const claims = this.pupil(name, role, rooms);
    const client = await this.enter('/ws/chat/', claims);
    return Object.assign(client, { id: claims.sub, called: claims.name });
  }

  /** Somebody who has joined the class. */
  async attend(name, role) {
    const client = await this.arrive(name, role);
    await client.ok('join_room', { roomId: this.roomId });
    return client;
  }

  /** A message of somebody into the class, as it was acked. */
  async say(who, content, more = {}) {
    const { message } = await who.ok('send_message', { roomId: this.roomId, content, ...more });
    return message;
  }

  /** An HTTP request: by somebody's token, or by the key. `body` is read as JSON, or as a list of its lines. */
  async http(method, path, { as, body, key } = {}) {
    const bearer = key ? this.server.secrets.API_KEY : as && (as.token ?? this.token(as));
    const headers = { ...(bearer && { authorization: `Bearer ${bearer}` }), ...(body && { 'content-type': 'application/json' }) };
    const answer = await fetch(`${this.server.url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (/ndjson/.test(answer.headers.get('content-type'))) return { status: answer.status, body: text.split('\n').filter(Boolean).map((line) => JSON.parse(line)) };
    const response = { status: answer.status, body: text ? JSON.parse(text) : undefined };
    called(method, path, response);
    return response;
  }

  async httpOk(status, ...request) {
    const answer = await this.http(...request);
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    return answer.body;
  }
}

/** What came to a client until now: an echo of the server stands behind everything that was sent before it. */
export async function settled(client) {
  await client.ok('ping');
  return client.inbox.all.filter(({ type }) => type !== 'ack' && type !== 'pong');
}

/** The data of all frames of a type until now. */
export async function heard(client, type) {
  return (await settled(client)).filter((frame) => frame.type === type).map(({ data }) => data);
}
