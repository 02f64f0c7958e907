//! Raw Engine.IO v4 and Socket.IO v5, one HTTP request or WebSocket message at a time, with no client library between.
//!
//! In: the address of a protocol-level server. Out: sessions whose every packet a test can send and see as it is.
//! Heartbeats are answered unless a test says `silent`; nothing else is done on a test's behalf.

import http from 'node:http';
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { DEADLINE_MS, Inbox, within } from './wait.mjs';

export const ENGINE_URL = (process.env.RELAIS_ENGINE_URL ?? 'http://localhost:3000').replace(/\/$/, '');
export const SEPARATOR = '\x1e';
export const PING_INTERVAL_MS = 300;
export const PING_TIMEOUT_MS = 200;
export const CONNECT_TIMEOUT_MS = 1000;
export const MAX_PAYLOAD = 1000000;
/** Room for a busy machine where a test compares with a protocol period. */
export const SLACK_MS = 2000;

/** One HTTP request under the server's address; `path` holds the query too. */
export function request(path, options = {}) {
  return fetch(ENGINE_URL + path, { ...options, signal: AbortSignal.timeout(options.ms ?? DEADLINE_MS) });
}

/** Asserts the error body that the handshake knows: status, code and message. */
export async function assertRefused(response, status, code, message) {
  assert.equal(response.status, status);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.deepEqual(await response.json(), { code, message });
}

/** A long-polling session. */
export class Polling {
  static async open(path = '/engine.io/') {
    const response = await request(`${path}?EIO=4&transport=polling`);
    assert.equal(response.status, 200);
    const text = await response.text();
    assert.equal(text[0], '0', `an OPEN packet, not ${text}`);
    const session = new Polling();
    session.path = path;
    session.open = JSON.parse(text.slice(1));
    session.sid = session.open.sid;
    return session;
  }

  get url() {
    return `${this.path}?EIO=4&transport=polling&sid=${this.sid}`;
  }

  get(options) {
    return request(this.url, options);
  }

  post(body, headers = { 'content-type': 'text/plain;charset=UTF-8' }) {
    return request(this.url, { method: 'POST', body, headers });
  }

  /** Packets of the next polls that carry something, with heartbeats answered and left out. */
  async packets() {
    for (;;) {
      const response = await this.get();
      assert.equal(response.status, 200);
      const packets = (await response.text()).split(SEPARATOR);
      if (packets.includes('2')) assert.equal((await this.post('3')).status, 200);
      const rest = packets.filter((packet) => packet !== '2');
      if (rest.length > 0) return rest;
    }
  }

  /** A GET whose underlying request can be torn away. */
  tornGet() {
    const started = http.get(ENGINE_URL + this.url);
    started.on('error', () => {});
    return started;
  }

  /** A POST whose body does not end. */
  unfinishedPost(part) {
    const headers = { 'content-type': 'text/plain;charset=UTF-8', 'content-length': String(part.length + 1) };
    const started = http.request(ENGINE_URL + this.url, { method: 'POST', headers });
    started.on('error', () => {});
    started.write(part);
    return started;
  }

  /** Whether the server has forgotten this session: asked without side effect on a live one. */
  async assertGone() {
    await assertRefused(await this.get(), 400, 1, 'Session ID unknown');
  }
}

/** One WebSocket connection. Text comes as string, binary as Buffer; `closed` resolves to `{code, reason}`. */
export class Socket {
  /** Connects and waits until the WebSocket is open; the OPEN packet is still in the inbox. */
  static async connect(path = '/engine.io/', { query = '', silent = false, headers } = {}) {
    const address = `${ENGINE_URL.replace(/^http/, 'ws')}${path}?EIO=4&transport=websocket${query}`;
    const socket = new Socket();
    socket.ws = new WebSocket(address, { headers, perMessageDeflate: false });
    socket.inbox = new Inbox('WebSocket');
    socket.pings = 0;
    socket.closed = new Promise((resolve) => {
      socket.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.ws.on('message', (data, binary) => {
      if (!binary && data.toString() === '2') {
        socket.pings += 1;
        if (!silent) socket.send('3');
        else socket.inbox.push('2');
      } else socket.inbox.push(binary ? data : data.toString());
    });
    await within(
      new Promise((resolve, reject) => {
        socket.ws.on('open', resolve);
        socket.ws.on('error', reject);
      }),
      'the WebSocket opens',
    );
    return socket;
  }

  /** Connects, and takes the OPEN packet. */
  static async open(path, options) {
    const socket = await Socket.connect(path, options);
    const first = await socket.next();
    assert.equal(first[0], '0', `an OPEN packet, not ${first}`);
    socket.open = JSON.parse(first.slice(1));
    return socket;
  }

  send(data) {
    if (this.ws.readyState === WebSocket.OPEN) this.ws.send(data);
  }

  next(what = 'a packet') {
    return this.inbox.next(what);
  }

  close() {
    this.ws.terminate();
  }

  assertCloses(ms = DEADLINE_MS) {
    return within(this.closed, 'the server closes the connection', ms);
  }
}

/** A Socket.IO session over WebSocket, connected to `namespaces`, each with its `auth` event already taken. */
export async function socketio({ namespaces = ['/'], silent } = {}) {
  const socket = await Socket.open('/socket.io/', { silent });
  for (const name of namespaces) {
    const prefix = name === '/' ? '' : `${name},`;
    socket.send(`40${prefix}`);
    const answer = await socket.next(`CONNECT of ${name}`);
    assert.ok(answer.startsWith(`40${prefix}{`), answer);
    assert.equal(await socket.next('the auth event'), `42${prefix}["auth",{}]`);
  }
  return socket;
}

/** The HTTP answer to a WebSocket handshake that must be refused: `{status, body}`. */
export function refusedUpgrade(path) {
  const ws = new WebSocket(ENGINE_URL.replace(/^http/, 'ws') + path);
  const refused = new Promise((resolve, reject) => {
    ws.on('unexpected-response', (_, response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    ws.on('open', () => {
      ws.terminate();
      reject(new Error('the WebSocket was accepted'));
    });
    ws.on('error', reject);
  });
  return within(refused, 'the handshake is refused');
}
