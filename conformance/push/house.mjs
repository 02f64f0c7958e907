//! A server that pushes, and its people: over Socket.IO where they are here, over HTTP where they are not.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { House, unique } from '../plain/house.mjs';
import { ask, connected, start } from '../lib/stock.mjs';
import { relais } from '../lib/servers.mjs';
import { PushService } from './service.mjs';

export { unique };

const APPS = fileURLToPath(new URL('./apps', import.meta.url));

/** A push service, a server that pushes there, and a world of its own in it. `settings` are the server's. */
export async function scene(t, settings = {}) {
  const service = await PushService.start(t);
  const server = await relais(process.env.RELAIS_BIN, { ...service.env, ...settings });
  t.after(() => server.remove());
  t.after(() => assert.deepEqual(service.wrong, []));
  return { service, server, world: new World(t, server) };
}

/** The same with the app file of these tests at the root. */
export const own = (t, settings = {}) => scene(t, { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'post', ...settings });

export class World extends House {
  constructor(t, server) {
    super(t, server);
    this.bam = unique('bam');
  }

  /** Somebody with a token, who is not here. */
  person(name, claims = {}) {
    const id = unique(name.toLowerCase());
    const full = { sub: id, name, bams: [this.bam], ...claims };
    return { id: full.sub, name, token: this.token(full) };
  }

  /** Somebody who is here, by Socket.IO, and in the room. */
  async enter(who) {
    const person = typeof who === 'string' ? this.person(who) : who;
    const client = start(this.server.url, { transports: ['websocket'], auth: { token: person.token } });
    this.t.after(() => client.socket.close());
    await connected(client.socket);
    const member = {
      ...person,
      ...client,
      ok: async (name, ...args) => {
        const [answer] = await ask(client.socket, name, ...args);
        assert.equal(answer.success, true, `${name}: ${JSON.stringify(answer)}`);
        return answer;
      },
    };
    await member.ok('join-bam', this.bam);
    return member;
  }

  async say(who, content, more = {}) {
    return (await who.ok('send-message', { bamId: this.bam, content, ...more })).message;
  }

  /** A message by HTTP: private with `toUserId`. */
  async post(who, body) {
    const { status, body: message } = await this.http('POST', `/bams/${this.bam}/messages`, { token: who.token, body });
    assert.equal(status, 201, JSON.stringify(message));
    return message;
  }

  /** A request with somebody's token, or with the API key. */
  async http(method, path, { body, token = this.server.secrets.API_KEY, headers = {} } = {}) {
    const response = await fetch(this.server.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, body: /json/.test(response.headers.get('content-type')) && !/ndjson/.test(response.headers.get('content-type')) && text ? JSON.parse(text) : undefined };
  }

  /** A new browser of somebody's, which takes pushes. */
  async subscribe(service, who, at = '') {
    const browser = service.browser();
    const { status, body } = await this.http('POST', `${at}/v1/push/subscriptions`, { token: who.token, body: browser.subscription });
    assert.equal(status, 201, JSON.stringify(body));
    return browser;
  }

  /** A number of Prometheus' text. */
  async metric(line) {
    const response = await fetch(`${this.server.url}/metrics`, { headers: { accept: 'text/plain' } });
    const found = (await response.text()).split('\n').find((one) => one.startsWith(line));
    return found ? Number(found.split(' ').at(-1)) : 0;
  }
}
