//! A server with the app of these tests, and people in it.

import { fileURLToPath } from 'node:url';
import { House } from '../plain/house.mjs';
import { relais } from '../lib/servers.mjs';

export const APPS = fileURLToPath(new URL('./apps', import.meta.url));

/** A server whose backend this is. */
export function guild(backend, settings = {}) {
  const app = { RELAIS_APPS_DIR: APPS, RELAIS_APP: 'guild', RELAIS_EVENTS_PER_SECOND_MAX: '0' };
  return relais(process.env.RELAIS_BIN, { ...app, ...backend?.env, ...settings });
}

export class Guild extends House {
  /** Somebody who is connected, and in a yard if it is named. */
  async comes(name, { yard, ...claims } = {}) {
    const client = await this.enter('/live', { sub: name, ...claims });
    if (yard) await client.ok('stroll', yard);
    return client;
  }

  /** A request with the API key, or with somebody's token. */
  async http(method, path, { body, token = this.server.secrets.API_KEY, headers = {} } = {}) {
    const response = await fetch(this.server.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : undefined };
  }
}
