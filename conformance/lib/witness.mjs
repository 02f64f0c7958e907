//! Watches the tests of an app: what they sent, heard and asked by HTTP, and whether it had the shape that the server's own documents say.
//!
//! In: RELAIS_WITNESS, the path of a file that the runner made (`{app, asyncapi, openapi}`), and what the clients of these tests hand over; without
//! it nothing happens. Out: a line of JSON for each kind of thing seen, in a file beside it; `coverage.mjs` reads them. No test fails in here.

import { appendFileSync, readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const FILE = process.env.RELAIS_WITNESS;
const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

/** What the documents of an app declare: events by name, and the routes of its file. */
export function declared({ asyncapi, openapi }) {
  const [sent, heard] = [new Map(), new Map()];
  for (const [key, message] of Object.entries(asyncapi.components.messages)) {
    (key.startsWith('client_') ? sent : heard).set(message.name, message);
  }
  const routes = [];
  for (const [path, item] of Object.entries(openapi.paths)) {
    for (const method of METHODS) if (item[method]?.tags.includes('app')) routes.push({ method: method.toUpperCase(), path, ...item[method] });
  }
  return { sent, heard, routes };
}

/** The route of a request, if it is one of the app's file; a longer literal path is preferred, as the server does. */
export function routeOf(routes, app, method, address) {
  const path = address.replace(/\?.*$/, '').replace(new RegExp(`^/${app}(?=/)`), '');
  const fits = (route) => route.method === method && new RegExp(`^${route.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path);
  return routes.filter(fits).sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
}

class Witness {
  constructor({ app, asyncapi, openapi }) {
    Object.assign(this, { app, ...declared({ asyncapi, openapi }), seen: new Set(), checks: new Map() });
    // A backend that leaves out the name of what it passes on says anything under this one.
    this.open = new Set(this.routes.map((route) => route.requestBody?.content['application/json']?.schema.properties.event?.default));
    this.ajv = formats(new Ajv({ strict: false, allErrors: true }));
  }

  note(line) {
    const text = JSON.stringify(line);
    if (this.seen.has(text)) return;
    this.seen.add(text);
    appendFileSync(`${FILE}.seen`, `${text}\n`);
  }

  /** Notes what is not as the schema says. */
  compare(what, schema, data) {
    if (!schema) return;
    if (!this.checks.has(what)) this.checks.set(what, this.ajv.compile(schema));
    const check = this.checks.get(what);
    if (check(data)) return;
    // Of an `anyOf` each branch complains; one sentence for a place is enough to find it.
    const [error] = check.errors;
    this.note({ wrong: `${what}: ${error.instancePath.replace(/\d+/g, 'N') || 'the whole'} ${error.message}`, such: JSON.stringify(data).slice(0, 300) });
  }

  heardOf(name, data) {
    this.note({ heard: name });
    if (!this.open.has(name)) this.compare(`event ${name}`, this.heard.get(name)?.payload, data);
  }

  answered(name, answer) {
    this.note({ sent: name, answer: answer.success ? 'ok' : answer.error?.code });
    if (answer.success) this.compare(`ack of ${name}`, this.sent.get(name)?.['x-ack'], answer);
  }

  called(method, address, { status, body }) {
    const route = routeOf(this.routes, this.app, method, address);
    if (!route) return;
    const what = `${method} ${route.path}`;
    this.note({ called: what, status });
    if (status < 300) this.compare(what, route.responses[status]?.content?.['application/json']?.schema, body);
  }
}

const witness = FILE ? new Witness(JSON.parse(readFileSync(FILE, 'utf8'))) : undefined;

/** The witness of connections to an address; nobody, where the path names another app. */
export function witnessOf(address) {
  const [, first] = new URL(address).pathname.split('/');
  return ['bam', 'classroom', 'stories', 'studio', 'wedding'].includes(first) && first !== witness?.app ? undefined : witness;
}

/** An HTTP request and its answer. */
export function called(method, address, response) {
  witness?.called(method, address, response);
}
