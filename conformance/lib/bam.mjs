//! People and rooms of `bam` for a test: new names every time, tokens, stock clients, HTTP calls, and the shapes that all share.
//!
//! In: RELAIS_URL, RELAIS_JWT_SECRET, RELAIS_API_KEY. Out: members whose events are in an inbox. Everything that a test opens
//! is closed at its end. What only Relais promises is declared with `promised`, and left out against the reference.

import test from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { ask as stockAsk, connected, start } from './stock.mjs';
import { sign } from './token.mjs';
import { pause } from './wait.mjs';
import { called, witnessOf } from './witness.mjs';

export const URL_OF_BAM = (process.env.RELAIS_URL ?? 'http://127.0.0.1:3001').replace(/\/$/, '');
export const SECRET = process.env.RELAIS_JWT_SECRET ?? '';
export const KEY = process.env.RELAIS_API_KEY ?? '';
export const ORIGIN = process.env.RELAIS_ALLOWED_ORIGIN ?? 'https://app.example.org';
export const GRACE_MS = 5000;
export const TYPING_MS = 5000;
/** Room for a busy machine where a test compares with a period. */
export const SLACK_MS = 1500;

const ISO_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const RETRYABLE = new Set(['RATE_LIMITED', 'OVERLOADED', 'STORAGE_FULL', 'UNAVAILABLE']);

/** A test of what only Relais promises; `why` says what the reference does instead. */
export function promised(name, why, body) {
  test(name, { skip: process.env.RELAIS_REFERENCE === '1' && `beyond the reference: ${why}` }, body);
}

export const unique = (word) => `${word}-${randomUUID().slice(0, 8)}`;

/** A token for these claims, signed as the server expects. */
export const token = (claims, secret = SECRET) => sign(claims, secret);

/** One person's connection. */
export class Member {
  constructor(person, options = {}) {
    Object.assign(this, person);
    const { url = URL_OF_BAM, auth, ...more } = options;
    this.url = url;
    const client = start(url, { transports: ['websocket'], auth: { token: person.token, ...auth }, ...more });
    this.socket = client.socket;
    this.inbox = client.inbox;
    this.witness = witnessOf(url);
    if (this.witness) this.socket.onAny((name, data) => this.witness.heardOf(name, data));
  }

  /** Waits until it is connected and has been told who it is. */
  async ready() {
    await connected(this.socket);
    this.hello = await this.next('connected');
    return this;
  }

  /** The data of the next event of this name. */
  async next(name, ms) {
    const { args } = await this.inbox.next(`${this.name} gets ${name}`, (event) => event.name === name, ms);
    return args[0];
  }

  /** The data of the next event of this name that fits. */
  async nextWhere(name, fits, ms) {
    const { args } = await this.inbox.next(`${this.name} gets a certain ${name}`, (event) => event.name === name && fits(event.args[0]), ms);
    return args[0];
  }

  /** Everything of this name that has come so far, read or not. */
  all(name) {
    return this.inbox.all.filter((event) => event.name === name).map((event) => event.args[0]);
  }

  /** Emits and gives the answer: exactly one object. */
  async ask(name, ...args) {
    const answer = await stockAsk(this.socket, name, ...args);
    assert.equal(answer.length, 1, `the ack of ${name} is one object`);
    this.witness?.answered(name, answer[0]);
    return answer[0];
  }

  /** Emits, and fails unless the answer is a success. */
  async ok(name, ...args) {
    const answer = await this.ask(name, ...args);
    assert.equal(answer.success, true, `${name}: ${JSON.stringify(answer)}`);
    assert.equal('error' in answer, false);
    return answer;
  }

  /** Emits, and fails unless the answer is a refusal with this code. */
  async refused(code, name, ...args) {
    assertRefusal(await this.ask(name, ...args), code);
  }

  join(bamId) {
    return this.ok('join-bam', bamId);
  }

  async say(bamId, content, more = {}) {
    return (await this.ok('send-message', { bamId, content, ...more })).message;
  }

  /** Everything sent to this person before now has arrived when this is over. */
  async settled() {
    const event = unique('barrier');
    const { status } = await http('POST', '/websocket/notify', { token: KEY, body: { userId: this.id, event, data: {} } });
    assert.equal(status, 200);
    await this.next(event);
  }

  close() {
    this.socket.close();
  }
}

/** Asserts the one form of a refusal. */
export function assertRefusal(answer, code) {
  assert.equal(answer.success, false, JSON.stringify(answer));
  const { error } = answer;
  assert.equal(error.code, code, JSON.stringify(error));
  assert.equal(typeof error.message, 'string');
  assert.notEqual(error.message, '');
  assert.equal(error.retryable, RETRYABLE.has(code));
  for (const key of Object.keys(error)) assert.ok(['code', 'message', 'retryable', 'retryAfterMs'].includes(key), key);
}

export function assertTime(value) {
  assert.match(value, ISO_MS);
  assert.ok(Math.abs(Date.parse(value) - Date.now()) < 60000, value);
}

/** A world of its own: a room and people who are participants of it, all new. */
export class World {
  constructor(t, tenant) {
    this.tenant = tenant;
    this.bam = unique('bam');
    this.members = [];
    t.after(() => this.members.forEach((member) => member.close()));
  }

  /** A person with a token; `claims` override the usual ones. */
  person(name, claims = {}) {
    const id = unique(name.toLowerCase());
    const full = { sub: id, name, bams: [this.bam], ...(this.tenant ? { tenant: this.tenant } : {}), ...claims };
    return { id: full.sub ?? id, name, claims: full, token: token(full) };
  }

  /** A connection of a person (by name: a new one). */
  async connect(who, options) {
    const person = typeof who === 'string' ? this.person(who) : who;
    const member = new Member(person, options);
    this.members.push(member);
    return member.ready();
  }

  /** A connection that has joined the room. */
  async enter(who, options) {
    const member = await this.connect(who, options);
    member.joined = await member.join(this.bam);
    return member;
  }

  /** Several people in the room, and nothing unread about their coming. */
  async room(...names) {
    const members = [];
    for (const name of names) members.push(await this.enter(name));
    for (const member of members) await member.settledIn(this.bam, members);
    return members;
  }
}

/** Waits until a member has been told of everybody who came after it. */
Member.prototype.settledIn = async function settledIn(bamId, members) {
  const later = members.slice(members.indexOf(this) + 1);
  for (const { id } of later) await this.nextWhere('user-joined-bam', (data) => data.bamId === bamId && data.userId === id);
};

/**
 * One HTTP call: `{status, headers, body}`, the body read as JSON when it is. A 429 is waited out, for tests that guess at
 * credentials come from the same address; `once` takes it as the answer.
 */
export async function http(method, path, options = {}) {
  for (;;) {
    const response = await httpOnce(method, path, options);
    called(method, path, response);
    if (response.status !== 429 || options.once) return response;
    await pause(response.body.retryAfterMs);
  }
}

async function httpOnce(method, path, { token: bearer, body, headers = {}, url = URL_OF_BAM, raw }) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined && raw === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    signal: AbortSignal.timeout(10000),
  });
  const text = await response.text();
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** A call with a credential that is no good; a good key after it ends the delay that guessing earns its address. */
export async function httpGuess(method, path, options) {
  const response = await http(method, path, options);
  await http('GET', '/websocket/stats', { token: KEY });
  return response;
}

/** Asserts an HTTP refusal: status, and a problem document with the code. */
export function assertProblem(response, status, code) {
  assert.equal(response.status, status, JSON.stringify(response.body));
  assert.match(response.headers.get('content-type'), /^application\/problem\+json/);
  assert.equal(response.body.code, code);
  assert.equal(response.body.status, status);
  assert.equal(response.body.retryable, RETRYABLE.has(code));
}
