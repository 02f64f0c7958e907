//! One attacker's way to a server: sockets and requests from a loopback address of its own, tokens of its own tenant, and a list of
//! everything secret that it has said or been told, for whoever reads the server's log afterwards.
//!
//! In: the server's address and keys. Out: bare wires, sessions on them, HTTP answers. Nothing is asserted here but that a session that
//! should open does.

import assert from 'node:assert/strict';
import http from 'node:http';
import { randomInt, randomUUID } from 'node:crypto';
import { OP, Wire } from '../lib/wire.mjs';
import { sign } from '../lib/token.mjs';

export const SOCKET = '/socket.io/?EIO=4&transport=websocket';
export const POLL = '/socket.io/?EIO=4&transport=polling';
/** All rows together on a busy machine: whatever must come has this long. */
export const PATIENCE_MS = 30000;

export class Scene {
  constructor({ url, secrets, tenant = 'attacker' }) {
    Object.assign(this, { url, secrets, tenant });
    this.host = new URL(url).host;
    this.from = `127.${randomInt(1, 255)}.${randomInt(0, 255)}.${randomInt(1, 255)}`;
    this.secret = new Set();
    this.wires = new Set();
  }

  /** Keeps something that no log may show. */
  keep(text) {
    this.secret.add(text);
    return text;
  }

  /** A good token of the attacker's tenant, unless the claims say otherwise. */
  token(claims = {}, options) {
    return this.keep(sign({ sub: `user-${randomUUID()}`, tenant: this.tenant, ...claims }, this.secrets.JWT_SECRET, options));
  }

  /** A WebSocket, its OPEN packet still to come. */
  async wire(path = SOCKET, headers = []) {
    return this.owned(await Wire.open(this.url, path, headers, { from: this.from, ms: PATIENCE_MS }));
  }

  /** A TCP connection that has sent these lines as the head of a request; none: nothing at all. */
  async tcp(lines = []) {
    return this.owned(await Wire.request(this.url, lines, { from: this.from }));
  }

  owned(wire) {
    this.wires.add(wire);
    wire.tcp.once('close', () => this.wires.delete(wire));
    return wire;
  }

  /** A WebSocket whose OPEN packet has been read. */
  async engine() {
    const wire = await this.wire();
    const open = JSON.parse((await this.next(wire, 'OPEN')).slice(1));
    this.keep(open.sid);
    return wire;
  }

  /** A session of a user; `answer` is what CONNECT gave. */
  async session(claims = {}, auth = {}) {
    const wire = await this.engine();
    const token = auth.token ?? this.token(claims);
    const answer = await this.connect(wire, { ...auth, token });
    assert.ok(answer.startsWith('40{'), answer);
    const { sid, pid } = JSON.parse(answer.slice(2));
    if (pid) this.keep(pid);
    const connected = await this.next(wire, 'connected', (text) => text.startsWith('42["connected"'));
    const offset = JSON.parse(connected.slice(2)).at(-1);
    return { wire, sid, pid, offset, token };
  }

  /** Sends CONNECT; what comes back. */
  connect(wire, auth) {
    wire.text(`40${JSON.stringify(auth)}`);
    return this.next(wire, 'the answer to CONNECT', (text) => /^4[04]/.test(text));
  }

  /** Asks with an ack, and gives its one object. */
  async ask(wire, name, ...args) {
    const id = (wire.asked = (wire.asked ?? 0) + 1);
    wire.text(`42${id}${JSON.stringify([name, ...args])}`);
    const answer = await this.next(wire, `the ack of ${name}`, (text) => text.startsWith(`43${id}[`));
    return JSON.parse(answer.slice(2 + String(id).length))[0];
  }

  /** The next text that fits; others stay. */
  async next(wire, what, fits = () => true) {
    const ended = wire.ended.then(() => ({ text: 'the connection ended' }));
    const came = wire.frames.next(what, ({ opcode, text }) => opcode === OP.text && fits(text), PATIENCE_MS);
    came.catch(() => {});
    const { text } = await Promise.race([came, ended]);
    return text;
  }

  /** Waits for the close frame with this code. */
  async closes(wire, code) {
    const got = await Promise.race([wire.closeCode(PATIENCE_MS), wire.ended.then(() => 'no close frame')]);
    assert.equal(got, code);
    wire.end();
  }

  /** One HTTP request on a connection of its own: `{status, headers, body}`. */
  request(method, path, { headers = {}, body, bearer } = {}) {
    const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    return new Promise((resolve, reject) => {
      const options = { method, agent: false, localAddress: this.from, headers: { ...authorization, ...headers } };
      const request = http.request(this.url + path, options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          resolve({ status: response.statusCode, headers: response.headers, body: isJson ? JSON.parse(text) : text });
        });
      });
      request.setTimeout(PATIENCE_MS, () => request.destroy(new Error(`no answer to ${method} within ${PATIENCE_MS} ms`)));
      request.on('error', reject);
      request.end(body);
    });
  }

  /** A polling session; the path of its further requests. */
  async polling(options = {}, more = '') {
    const { status, body } = await this.request('GET', POLL + more, options);
    assert.equal(status, 200, JSON.stringify(body));
    const { sid } = JSON.parse(body.slice(1));
    return `${POLL}${more}&sid=${this.keep(sid)}`;
  }

  /** Takes everything away that is still open. */
  end() {
    this.wires.forEach((wire) => wire.end());
  }
}
