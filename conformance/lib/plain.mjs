//! A plain JSON WebSocket with `ws`: frames out, frames into an inbox, acks by id, and the close frame at the end.
//!
//! In: an address. Out: a connection whose `hello` is `connected`. It answers pings as `ws` does and knows nothing of any application.

import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Inbox, within } from './wait.mjs';
import { witnessOf } from './witness.mjs';

const ISO_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export class Plain {
  constructor(address, name = 'client', options = {}) {
    this.name = name;
    this.inbox = new Inbox(name);
    this.witness = witnessOf(address);
    this.pings = 0;
    this.ids = 0;
    this.socket = new WebSocket(address.replace(/^http/, 'ws'), { perMessageDeflate: false, ...options });
    this.opened = new Promise((resolve) => this.socket.on('open', () => resolve(true)));
    this.closed = new Promise((resolve) => this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.refused = new Promise((resolve) => this.socket.on('unexpected-response', (_, response) => resolve(response)));
    this.socket.on('error', () => {});
    this.socket.on('ping', () => (this.pings += 1));
    this.socket.on('message', (data, isBinary) => this.take(data, isBinary));
  }

  take(data, isBinary) {
    assert.equal(isBinary, false, 'frames are text');
    const frame = JSON.parse(data);
    assert.match(frame.timestamp, ISO_MS);
    assert.equal(typeof frame.type, 'string');
    assert.ok('data' in frame);
    for (const key of Object.keys(frame)) assert.ok(['type', 'data', 'timestamp', 'position', 'id'].includes(key), key);
    if (frame.type !== 'ack') this.witness?.heardOf(frame.type, frame.data);
    this.inbox.push(frame);
  }

  /** A connection that has been told who it is. */
  static async connect(address, name, options) {
    const client = new Plain(address, name, options);
    const first = await client.inbox.next('connected');
    assert.equal(first.type, 'connected', JSON.stringify(first));
    client.hello = first.data;
    client.began = first;
    return client;
  }

  /** Whole frames of a type. */
  frame(type, fits = () => true, ms) {
    return this.inbox.next(`gets ${type}`, (frame) => frame.type === type && fits(frame.data, frame), ms);
  }

  /** The data of the next one. */
  async next(type, fits, ms) {
    return (await this.frame(type, fits, ms)).data;
  }

  all(type) {
    return this.inbox.all.filter((frame) => frame.type === type);
  }

  /** The newest position that it was told: what it gives as `after`. */
  get position() {
    return this.inbox.all.reduce((last, frame) => frame.position ?? last, undefined);
  }

  send(frame) {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  /** Sends an event with an id; the data of its ack. */
  async ask(type, data, id = `${this.name}-${(this.ids += 1)}`) {
    this.send({ type, data, id });
    const ack = await this.inbox.next(`has its ack of ${type}`, (frame) => frame.type === 'ack' && frame.id === id);
    assert.equal(typeof ack.data.success, 'boolean');
    this.witness?.answered(type, ack.data);
    return ack.data;
  }

  async ok(type, data) {
    const answer = await this.ask(type, data);
    assert.equal(answer.success, true, `${type}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async refusal(code, type, data) {
    const { success, error } = await this.ask(type, data);
    assert.equal(success, false);
    assert.equal(error.code, code, JSON.stringify(error));
  }

  /** The close frame. */
  end(ms) {
    return within(this.closed, `${this.name} is closed`, ms);
  }

  /** Ends the link without a word. */
  cut() {
    this.socket.terminate();
    return this.end();
  }

  close(code) {
    this.socket.close(code);
  }
}
