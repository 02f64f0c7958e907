//! What the server says of itself, read by other people's programs: AsyncAPI and OpenAPI by their parsers, TypeScript by its compiler, the schema
//! of app files by ajv.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import SwaggerParser from '@apidevtools/swagger-parser';
import { Parser } from '@asyncapi/parser';
import Ajv from 'ajv';
import { parse } from 'smol-toml';
import { relais } from '../lib/servers.mjs';

const APPS = ['bam', 'classroom', 'stories', 'studio', 'wedding'];
const HERE = fileURLToPath(new URL('.', import.meta.url));
const MODULES = path.join(HERE, '..', 'node_modules');
const SCHEMA = JSON.parse(readFileSync(path.join(HERE, '../../docs/app.schema.json'), 'utf8'));
const run = promisify(execFile);
const tell = async (...args) => (await run(process.env.RELAIS_BIN, ['app', ...args], { maxBuffer: 2 ** 24 })).stdout;
const appFile = (name) => path.join(HERE, '../../apps', `${name}.toml`);

let server;
const folder = mkdtempSync(path.join(tmpdir(), 'relais-documents-'));
before(async () => {
  server = await relais(process.env.RELAIS_BIN);
});
after(async () => {
  await server.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('the events of every app are AsyncAPI without an error or a warning', async () => {
  for (const app of APPS) {
    const { document, diagnostics } = await new Parser().parse(await tell('asyncapi', app));
    // What the parser would like to be told besides (a contact, a licence, tags, …) has a severity below these two.
    const problems = diagnostics.filter(({ severity }) => severity < 2).map(({ code, message, path: at }) => `${code}: ${message} at ${at.join('/')}`);
    assert.deepEqual(problems, [], app);
    assert.ok(document.allMessages().all().length > 2, app);
  }
});

test('the HTTP routes of every app are OpenAPI 3.1', async () => {
  for (const app of APPS) {
    const document = await (await fetch(`${server.url}/${app}/openapi.json`)).json();
    assert.equal(document.openapi, '3.1.0');
    const whole = await SwaggerParser.validate(structuredClone(document));
    assert.deepEqual(Object.keys(whole.paths), Object.keys(document.paths));
    const operations = Object.values(whole.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId)).filter(Boolean);
    assert.equal(new Set(operations).size, operations.length, `${app}: an operationId stands twice`);
    for (const [at, item] of Object.entries(whole.paths)) {
      const named = [...at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { operationId, parameters = [] } of Object.values(item)) {
        const known = parameters.filter((one) => one.in === 'path').map(({ name }) => name);
        if (operationId) assert.deepEqual(known.sort(), named.toSorted(), `${app}: ${operationId}`);
      }
    }
  }
});

test('the types of every app compile strictly, let a stock client do what is right, and refuse what is not', async () => {
  for (const app of APPS) writeFileSync(path.join(folder, `${app}.ts`), await tell('types', app));
  writeFileSync(path.join(folder, 'use.ts'), `
    import { io, type Socket } from 'socket.io-client';
    import type * as Bam from './bam';
    import type * as Classroom from './classroom';
    import type * as Stories from './stories';
    import type * as Studio from './studio';
    import type * as Wedding from './wedding';
    const bam: Socket<Bam.ServerToClientEvents, Bam.ClientToServerEvents> = io();
    bam.emit('join-bam', '42', (answer) => { if (answer.success) answer.lastSeq.toFixed(); else answer.error.code.toLowerCase(); });
    bam.emit('send-message', { bamId: 7, content: 'x' }, (answer) => answer.success && answer.message.content.trim());
    bam.on('new-message', ({ seq, sender }) => [seq.toFixed(), sender.name.trim()]);
    bam.on('auth:expiring', ({ expiresAt }) => bam.emit('auth:refresh', { token: expiresAt }));
    bam.on('error', ({ code, event }) => [code.trim(), event?.trim()]);
    // @ts-expect-error a message has a content
    bam.emit('send-message', { bamId: 7 });
    // @ts-expect-error there is no such event
    bam.emit('send-messages', {});
    // @ts-expect-error there is no such status
    bam.emit('status-change', 'asleep');
    // @ts-expect-error nobody may be meant
    bam.on('new-message', ({ toUserId }) => toUserId.toString());
    const joined: Classroom.ServerToClientEvents['room_joined'] = ({ unread, onlineUsers }) => void [unread.toFixed(), onlineUsers[0]?.userName];
    const page: Wedding.ClientToServerEvents['get_messages'] = (payload) => void payload.limit?.toFixed();
    const pong: Stories.ServerToClientEvents['pong'] = ({ at }) => void at.trim();
    const done: Studio.ServerToClientEvents['task.files.uploaded'] = ({ taskId, status }) => void [taskId, status.trim()];
    void [joined, page, pong, done];`);
  const options = { strict: true, noEmit: true, skipLibCheck: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', types: [], lib: ['es2022', 'dom'] };
  const paths = { 'socket.io-client': [path.join(MODULES, 'socket.io-client')] };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, paths }, files: ['use.ts', ...APPS.map((app) => `${app}.ts`)] }));
  const { status, stdout } = spawnSync(process.execPath, [path.join(MODULES, 'typescript/bin/tsc'), '-p', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

/** What a file gets wrong, and where the schema says so. */
const WRONG = [
  ['a table that there is not', (app) => (app.srver = {}), ''],
  ['a name in capitals', (app) => (app.name = 'BAM'), '/name'],
  ['no name', (app) => delete app.name, ''],
  ['a switch that is a text', (app) => (app.recovery = 'yes'), '/recovery'],
  ['an operation that there is not', (app) => (Object.values(app.http)[0].do = 'stats.got'), '/http/'],
  ['a key that an event does not have', (app) => (Object.values(app.server)[0].onn = 'x'), '/server/'],
  ['an event of the core that there is not', (app) => (Object.values(app.server)[0].on = 'message.sned'), '/server/'],
  ['roles that are a number', (app) => (app.roles = 7), '/roles'],
];

test('the schema of app files takes the five and refuses each mistake at its place, and so does the server', async () => {
  const check = new Ajv({ strict: false, allErrors: true }).compile(SCHEMA);
  for (const name of APPS) {
    const read = () => parse(readFileSync(appFile(name), 'utf8'));
    assert.equal(check(read()), true, `${name}: ${JSON.stringify(check.errors)}`);
    for (const [what, spoil, place] of WRONG) {
      const app = read();
      spoil(app);
      assert.equal(check(app), false, `${name} with ${what}`);
      assert.ok(check.errors.some(({ instancePath }) => instancePath.startsWith(place)), `${name} with ${what}: ${JSON.stringify(check.errors)}`);
    }
    await tell('check', appFile(name));
  }
});
