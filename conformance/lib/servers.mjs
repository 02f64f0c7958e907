//! The servers of a run: the reference ones, or Relais as it was built. What is started here is also stopped here.
//!
//! In: where the binaries are. Out: a running server and the environment with which the tests find it.

import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program, freePort } from './process.mjs';

const REFERENCE = fileURLToPath(new URL('../reference/server.mjs', import.meta.url));

export const ORIGINS = ['https://app.example.org', 'https://admin.example.org'];

/** The protocol-level server: Node's own. */
export async function referenceEngine() {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const program = new Program(process.execPath, [REFERENCE, 'engine'], { env: { PORT: port }, ready: `${url}/` });
  await program.start();
  return { program, env: { RELAIS_ENGINE_URL: url } };
}

/** The protocol-level server: the engine's example. */
export async function engineExample(binary) {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const program = new Program(path.resolve(binary), [String(port)], { env: {}, ready: `${url}/engine.io/?EIO=4&transport=polling` });
  await program.start();
  return { program, env: { RELAIS_ENGINE_URL: url } };
}

/** The `bam` server: Node's own, written by hand. */
export async function referenceBam() {
  const secrets = { JWT_SECRET: randomBytes(32).toString('hex'), API_KEY: randomBytes(16).toString('hex') };
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...secrets, PORT: port, ALLOWED_ORIGINS: ORIGINS.join(',') };
  const program = new Program(process.execPath, [REFERENCE, 'bam'], { env, ready: `${url}/healthz` });
  await program.start();
  return { program, env: { ...address(url, secrets), RELAIS_REFERENCE: '1' } };
}

/**
 * `relais serve` with `bam` at the root, a data folder of its own and no limit on connections from one address (all tests
 * come from one); `settings` are further environment settings. `remove()` ends it and deletes the data.
 */
export async function relais(binary, settings = {}) {
  const secrets = { JWT_SECRET: randomBytes(32).toString('hex'), API_KEY: randomBytes(16).toString('hex') };
  const data = settings.RELAIS_DATA ?? mkdtempSync(path.join(tmpdir(), 'relais-conformance-'));
  const port = settings.WS_PORT ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...secrets,
    WS_PORT: String(port),
    WS_HOST: '127.0.0.1',
    RELAIS_DATA: data,
    RELAIS_APP: 'bam',
    ALLOWED_ORIGINS: ORIGINS.join(','),
    RELAIS_CONNECTIONS_PER_IP_PER_MINUTE_MAX: '0',
    ...settings,
  };
  const program = new Program(path.resolve(binary), ['serve'], { env, ready: `${url}/healthz` });
  try {
    await program.start();
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw error;
  }
  const remove = async () => {
    await program.kill();
    if (!settings.RELAIS_DATA) rmSync(data, { recursive: true, force: true });
  };
  return { program, url, data, secrets, remove, env: address(url, secrets) };
}

function address(url, { JWT_SECRET, API_KEY }) {
  return { RELAIS_URL: url, RELAIS_JWT_SECRET: JWT_SECRET, RELAIS_API_KEY: API_KEY };
}
