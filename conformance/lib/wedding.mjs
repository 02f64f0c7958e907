//! People of a wedding for a test: a wedding that is new every time, guests with a role, stock clients whose events are in an inbox.
//!
//! In: RELAIS_URL and its secrets, or a server that the test has started itself. Out: guests. Everything that a test opens is
//! closed at its end.

import assert from 'node:assert/strict';
import { KEY, Member, SECRET, URL_OF_BAM, assertTime, http, token, unique } from './bam.mjs';

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const SONG = { songTitle: 'Bohemian Rhapsody', artist: 'Queen' };
export const SPEECH = { purpose: 'A speech', duration: 120 };

/** Asserts that an object has these fields, in this order, and no others. */
export function assertFields(value, ...names) {
  assert.deepEqual(Object.keys(value), names, JSON.stringify(value));
}

/** Asserts what every stored thing has: an id of the server's, and its time. */
export function assertStored(value, time = 'createdAt') {
  assert.match(value.id, UUID);
  assertTime(value[time]);
}

/** One session of somebody at a wedding. */
export class Guest extends Member {
  /** Everything sent to this person before now has arrived when this is over. */
  async settled() {
    const event = unique('barrier');
    await this.wedding.tell({ user: this.id }, event, {});
    await this.next(event);
  }

  /** All events of this name that were sent until now. */
  async heard(name) {
    await this.settled();
    return this.all(name);
  }

  async say(content, more = {}) {
    return (await this.ok('send_message', { content, ...more })).message;
  }

  async song(more = {}) {
    return (await this.ok('music_request', { ...SONG, ...more })).request;
  }

  async mic(more = {}) {
    return (await this.ok('mic_request', { ...SPEECH, ...more })).request;
  }

  /** Changes a task; without `taskId`, makes one. */
  async task(updates, more = {}) {
    return (await this.ok('task_update', { updates, ...more })).task;
  }
}

/** One wedding, at the server of the run or at one of the test's own. */
export class Wedding {
  constructor(t, { server, id = unique('wedding') } = {}) {
    this.id = id;
    this.url = server?.url ?? URL_OF_BAM;
    this.secret = server?.secrets.JWT_SECRET ?? SECRET;
    this.key = server?.secrets.API_KEY ?? KEY;
    this.guests = [];
    t.after(() => this.guests.forEach((guest) => guest.close()));
  }

  person(name, role = 'guest', claims = {}) {
    const id = claims.sub ?? unique(name.toLowerCase());
    return { id, name, role, token: token({ sub: id, name, role, weddingId: this.id, ...claims }, this.secret) };
  }

  /** A session of somebody (by name: somebody new) that has been greeted and told who is online. */
  async arrive(who, role, options = {}) {
    const person = typeof who === 'string' ? this.person(who, role) : who;
    const guest = new Guest(person, { url: this.url, ...options });
    guest.wedding = this;
    this.guests.push(guest);
    await guest.ready();
    guest.online = await guest.next('online_users');
    return guest;
  }

  dj(name = 'Marco', options) {
    return this.arrive(name, 'dj', options);
  }

  http(method, path, options = {}) {
    return http(method, path, { url: this.url, ...options });
  }

  /** An event of the team's backend. */
  async tell(to, event, data) {
    const headers = { 'relais-tenant': this.id };
    const { status, body } = await this.http('POST', '/v1/events', { token: this.key, headers, body: { to, event, data } });
    assert.equal(status, 200, JSON.stringify(body));
  }
}
