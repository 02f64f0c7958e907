//! People of one server for the tests beside it: tokens, addresses, connections, all closed at the end of their test.

import { randomUUID } from 'node:crypto';
import { Plain } from '../lib/plain.mjs';
import { sign } from '../lib/token.mjs';

export const unique = (word) => `${word}-${randomUUID().slice(0, 8)}`;

export class House {
  constructor(t, server) {
    this.t = t;
    this.server = server;
  }

  token(claims, secret = this.server.secrets.JWT_SECRET) {
    return sign(claims, secret);
  }

  /** An address with a query; `undefined` values are left out. */
  address(path, query = {}, url = this.server.url) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    return `${url}${path}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
  }

  /** A WebSocket, whatever becomes of it. */
  open(path, query, { url, ...options } = {}) {
    const client = new Plain(this.address(path, query, url), 'visitor', options);
    this.t.after(() => client.socket.terminate());
    return client;
  }

  /** Somebody who is connected. `claims.sub` is the name. */
  async enter(path, claims, { url, query, ...options } = {}) {
    const token = this.token({ name: claims.sub, ...claims });
    const client = await Plain.connect(this.address(path, { token, ...query }, url), claims.sub, options);
    this.t.after(() => client.socket.terminate());
    return Object.assign(client, { claims, token, path });
  }

  /** The same session again, from where it was, or from `query.after`. */
  back(client, { path = client.path, query, ...options } = {}) {
    const resumed = { resume: client.hello.sessionId, after: client.position, ...query };
    return this.enter(path, client.claims, { query: resumed, ...options });
  }
}
