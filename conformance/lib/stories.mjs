//! People of `stories` for a test: numeric ids that are new every time, tokens, stock clients whose events are in an inbox.
//!
//! In: RELAIS_URL and its secrets, or a server that the test has started itself. Out: readers. Everything that a test opens is
//! closed at its end.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { KEY, Member, SECRET, URL_OF_BAM, assertTime, http, token, unique } from './bam.mjs';

export const URL_OF_STORIES = URL_OF_BAM;
let next = randomInt(1, 2 ** 40);

/** A number that nobody and nothing has yet. */
export const number = () => (next += 1);

/** One session, with what `stories` calls things. */
export class Reader extends Member {
  /** Everything sent to this person before now has arrived when this is over. It leaves a notification in the inbox. */
  async settled() {
    const { id } = await this.stage.notify(this.id, { title: unique('barrier') });
    await this.nextWhere('notification:received', (data) => data.id === id);
  }

  /** The next notification, which has all of its fields. */
  async notified(fits = () => true) {
    const notification = await this.nextWhere('notification:received', fits);
    assert.deepEqual(Object.keys(notification), ['id', 'title', 'message', 'type', 'data', 'read', 'createdAt']);
    assertTime(notification.createdAt);
    return notification;
  }

  page(more = {}) {
    return this.ok('get:notifications', more);
  }
}

/** The people of one test, at the server of the run or at one of its own, in the default tenant or another. */
export class Stage {
  constructor(t, server, tenant) {
    this.tenant = tenant;
    this.url = server?.url ?? URL_OF_STORIES;
    this.secret = server?.secrets.JWT_SECRET ?? SECRET;
    this.key = server?.secrets.API_KEY ?? KEY;
    this.readers = [];
    t.after(() => this.readers.forEach((reader) => reader.close()));
  }

  person(name, { id = number(), role, ...claims } = {}) {
    return { id, name, role, token: token({ sub: id, name, ...(role && { role }), ...(this.tenant && { tenant: this.tenant }), ...claims }, this.secret) };
  }

  /** A session of somebody (by name: somebody new) that has been greeted and told who is online. */
  async connect(who, options = {}) {
    const person = typeof who === 'string' ? this.person(who) : who;
    const reader = new Reader(person, { url: this.url, ...options });
    reader.stage = this;
    this.readers.push(reader);
    await reader.ready();
    reader.online = await reader.next('users:online');
    return reader;
  }

  author(name, options) {
    return this.connect(this.person(name, { role: 'author' }), options);
  }

  http(method, path, options = {}) {
    const headers = { ...(this.tenant && { 'relais-tenant': this.tenant }), ...options.headers };
    return http(method, path, { url: this.url, ...options, headers });
  }

  /** A notification by the team's backend. */
  async notify(userId, { title = 'Hello', message = 'there', ...more } = {}) {
    const { status, body } = await this.http('POST', '/api/notifications', { token: this.key, body: { userId, title, message, ...more } });
    assert.equal(status, 201, JSON.stringify(body));
    return body;
  }
}
