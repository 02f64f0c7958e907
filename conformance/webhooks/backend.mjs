//! A team's own backend for a test: an HTTP server that checks every signature by itself and answers as the test says.
//!
//! In: the secret. Out: what was asked and told, in order; how often each id came. It can go away and come back at the same port.

import http from 'node:http';
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { freePort } from '../lib/process.mjs';
import { Inbox } from '../lib/wait.mjs';

export const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;

/** Standard Webhooks, worked out here and not by the server under test. */
export function isSigned(secret, headers, body) {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const wanted = Buffer.from(createHmac('sha256', key).update(signed).digest('base64'));
  const fresh = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300;
  return fresh && String(headers['webhook-signature']).split(' ').some((one) => {
    const given = Buffer.from(one.replace(/^v1,/, ''));
    return one.startsWith('v1,') && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

export class Backend {
  constructor(secret, port) {
    Object.assign(this, { secret, port, requests: new Inbox(), forged: 0 });
    this.answer = () => ({ allow: true });
    this.told = () => 204;
  }

  static async start(t, secret = newSecret()) {
    const backend = new Backend(secret, await freePort());
    await backend.listen();
    t.after(() => backend.close());
    return backend;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  /** The environment of a server that has it. */
  get env() {
    return { WEBHOOK_URL: this.url, WEBHOOK_SECRET: this.secret, RELAIS_OUTGOING_PRIVATE_HOSTS: `127.0.0.1:${this.port}` };
  }

  async listen() {
    this.server = http.createServer((request, response) => this.take(request, response));
    await new Promise((resolve, reject) => this.server.on('error', reject).listen(this.port, '127.0.0.1', resolve));
  }

  async close() {
    if (!this.server) return;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    this.server = undefined;
    await closed;
  }

  async take(request, response) {
    let body = '';
    for await (const chunk of request) body += chunk;
    if (!isSigned(this.secret, request.headers, body)) {
      this.forged += 1;
      response.writeHead(401).end();
      return;
    }
    const asked = { id: request.headers['webhook-id'], ...JSON.parse(body) };
    const isQuestion = ['room.join', 'event.ask'].includes(asked.type);
    const answer = isQuestion ? await this.answer(asked) : await this.told(asked);
    this.requests.push(asked);
    if (typeof answer === 'number') response.writeHead(answer).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  /** The next request that fits. */
  next(what, fits, ms) {
    return this.requests.next(what, fits, ms);
  }

  all(type) {
    return this.requests.all.filter((one) => one.type === type);
  }
}
