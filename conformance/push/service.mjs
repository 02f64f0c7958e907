//! A push service for a test, and the browsers that it delivers to: it checks who sends, and each browser decrypts by itself.
//!
//! In: POSTs of the server under test (RFC 8030). Out: for each browser what it got, decrypted with `http_ece` and not by the server's own code. What is
//! not as the standards want it (RFC 8291, RFC 8292) is answered with 400 and kept in `wrong`. `answer` says what a push is answered with.

import http from 'node:http';
import { createECDH, createPublicKey, randomBytes, verify } from 'node:crypto';
import ece from 'http_ece';
import { freePort } from '../lib/process.mjs';
import { Inbox } from '../lib/wait.mjs';

const TOPIC = /^[A-Za-z0-9_-]{1,32}$/;

/** A key pair as operators make one: the setting, and what browsers have to see of it. */
export function vapidKeys() {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  const key = Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32);
  return { privateKey: key.toString('base64url'), publicKey: pair.getPublicKey('base64url') };
}

export const SUBJECT = 'mailto:ops@example.org';

/** Whether an `Authorization` is VAPID for this origin, by that key. Gives what is wrong with it. */
export function problemOfVapid(header, origin, publicKey) {
  const match = /^vapid t=([^.,]+)\.([^.,]+)\.([^.,]+), k=([\w-]+)$/.exec(header ?? '');
  if (!match) return `no VAPID: ${header}`;
  const [, head, body, signature, key] = match;
  if (key !== publicKey) return 'another key';
  const point = Buffer.from(key, 'base64url');
  const jwk = { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') };
  const good = verify('sha256', Buffer.from(`${head}.${body}`), { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'));
  if (!good) return 'a wrong signature';
  const { alg } = JSON.parse(Buffer.from(head, 'base64url'));
  const { aud, exp, sub } = JSON.parse(Buffer.from(body, 'base64url'));
  const left = exp - Date.now() / 1000;
  if (alg !== 'ES256' || aud !== origin || sub !== SUBJECT || left <= 0 || left > 86400) return `wrong claims: ${alg} ${aud} ${sub} ${left}`;
  return undefined;
}

/** A browser: its subscription, and the pushes that it got. */
export class Browser {
  constructor(service) {
    this.pair = createECDH('prime256v1');
    this.pair.generateKeys();
    this.auth = randomBytes(16);
    this.path = `/send/${randomBytes(12).toString('base64url')}`;
    this.endpoint = service.origin + this.path;
    this.got = new Inbox('a browser');
    this.tried = 0;
  }

  /** As `PushSubscription.toJSON` has it. */
  get subscription() {
    const keys = { p256dh: this.pair.getPublicKey('base64url'), auth: this.auth.toString('base64url') };
    return { endpoint: this.endpoint, expirationTime: null, keys };
  }

  /** The next push, decrypted: `{payload, topic, urgency, ttl}`. */
  next(what = 'a push', ms = undefined) {
    return this.got.next(what, () => true, ms);
  }

  get all() {
    return this.got.all;
  }

  decrypt(body) {
    return JSON.parse(ece.decrypt(body, { version: 'aes128gcm', privateKey: this.pair, authSecret: this.auth }));
  }
}

export class PushService {
  constructor(port) {
    Object.assign(this, { port, origin: `http://127.0.0.1:${port}`, browsers: new Map(), wrong: [], keys: vapidKeys() });
    this.answer = () => 201;
  }

  static async start(t) {
    const service = new PushService(await freePort());
    service.server = http.createServer((request, response) => service.take(request, response));
    await new Promise((resolve, reject) => service.server.on('error', reject).listen(service.port, '127.0.0.1', resolve));
    t.after(() => {
      service.server.closeAllConnections();
      service.server.close();
    });
    return service;
  }

  /** The environment of a server that pushes here. */
  get env() {
    return { VAPID_PRIVATE_KEY: this.keys.privateKey, VAPID_SUBJECT: SUBJECT, RELAIS_PUSH_PRIVATE_HOSTS: `127.0.0.1:${this.port}` };
  }

  browser() {
    const browser = new Browser(this);
    this.browsers.set(browser.path, browser);
    return browser;
  }

  async take(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const [body, browser] = [Buffer.concat(chunks), this.browsers.get(request.url)];
    const { ttl, topic, urgency, authorization } = request.headers;
    let [problem, payload] = [problemOfVapid(authorization, this.origin, this.keys.publicKey), undefined];
    if (!browser) problem ??= `an unknown address: ${request.url}`;
    if (request.method !== 'POST' || request.headers['content-encoding'] !== 'aes128gcm') problem ??= 'not encrypted';
    if (body.length > 4096) problem ??= `${body.length} bytes`;
    if (!TOPIC.test(topic) || !['high', 'normal'].includes(urgency) || !(Number(ttl) > 0)) problem ??= `wrong headers: ${JSON.stringify(request.headers)}`;
    try {
      payload = browser?.decrypt(body);
    } catch (error) {
      problem ??= error.message;
    }
    if (problem) {
      this.wrong.push(problem);
      response.writeHead(400).end();
      return;
    }
    browser.tried += 1;
    const push = { payload, topic, urgency, ttl: Number(ttl) };
    const answer = await this.answer(push, browser);
    const { status, headers } = typeof answer === 'number' ? { status: answer } : answer;
    if (status === 201) browser.got.push(push);
    response.writeHead(status, headers).end();
  }
}
