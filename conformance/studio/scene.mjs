//! People, workers and pictures for the tests beside it.
//!
//! In: a server. Out: requests as a user's page or as a worker makes them, and sockets of users. Nothing here decides what is right.

import zlib from 'node:zlib';
import { House, unique } from '../plain/house.mjs';
import { eventually } from '../lib/wait.mjs';
import { called } from '../lib/witness.mjs';

export { unique };

export class Scene extends House {
  /** A request; `who` is claims, `'key'`, or a token. */
  async ask(who, method, path, { body, form, headers = {} } = {}) {
    const credential = who === 'key' ? this.server.secrets.API_KEY : typeof who === 'object' ? this.token({ name: who.sub, ...who }) : who;
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      headers: {
        ...(credential && { authorization: `Bearer ${credential}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: form ?? (body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)),
    });
    const text = await response.text();
    const json = text === '' ? undefined : JSON.parse(text);
    called(method, path, { status: response.status, body: json });
    return { status: response.status, json, headers: response.headers };
  }

  /** A task of somebody. */
  async task(who, wish = {}) {
    const made = await this.ask(who, 'POST', '/tasks', { body: { prompt: 'a lake', width: 64, height: 64, ...wish } });
    if (made.status !== 202) throw new Error(`${made.status} ${JSON.stringify(made.json)}`);
    return made.json;
  }

  get(who, task) {
    return this.ask(who, 'GET', `/tasks/${task.taskId}`);
  }

  claim() {
    return this.ask('key', 'POST', '/tasks/claim');
  }

  patch(task, body) {
    return this.ask('key', 'PATCH', `/tasks/${task.taskId}`, { body });
  }

  upload(task, bytes = png(), { name = 'image.png', field = 'file', type = 'image/png', who = 'key' } = {}) {
    const form = new FormData();
    form.append(field, new Blob([bytes], { type }), name);
    return this.ask(who, 'POST', `/tasks/${task.taskId}/files`, { form });
  }

  live(who, options) {
    return this.enter('/ws', who, options);
  }

  /** A task that has reached a status, as its owner sees it. */
  reached(who, task, status, ms = 60000) {
    return eventually(`task ${task.taskId} is ${status}`, async () => {
      const { json } = await this.get(who, task);
      return json.status === status && json;
    }, ms);
  }
}

/** A PNG of one colour. */
export function png(width = 8, height = 8, claimed = [width, height]) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(zlib.crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(claimed[0]);
  head.writeUInt32BE(claimed[1], 4);
  head.set([8, 2, 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + width * 3), 90);
  for (let row = 0; row < height; row += 1) rows[row * (1 + width * 3)] = 0;
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

export const ORDER = ['PENDING', 'PROCESSING', 'EXECUTING', 'SUCCESS'];
