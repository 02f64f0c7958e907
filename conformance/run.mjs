//! Starts the servers that the tests need, runs the groups of tests one after another, and ends with the worst exit code.
//!
//! In: `--reference`, or `--bin FILE` (relais) and `--engine-example FILE`; or addresses in the environment (README.md).
//! `--python FILE` is an interpreter that has requirements.txt; without it one is made. `--only GROUP,GROUP` runs some.
//! Out: node's own report for each group, then one line a group, and one that says whether SPECIFICATIONS.md is held.

import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { coverage } from './lib/coverage.mjs';
import { engineExample, referenceBam, referenceEngine, relais } from './lib/servers.mjs';
import { complaints, requirements, tests } from './lib/specifications.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const VENV = process.env.RELAIS_TEST_VENV ?? path.join(HERE, '..', 'target', 'conformance-venv');

// name, folder, what it needs: an engine server, a bam server, the binary to start servers itself. `app`: it is the group of the app of its name.
const GROUPS = [
  { name: 'protocol', needs: ['engine'] },
  { name: 'relais', needs: ['engine'], beyond: true },
  { name: 'clients', needs: ['engine'], python: true },
  { name: 'dart', needs: ['engine', 'bam'] },
  { name: 'bam', needs: ['bam'], python: true, app: true },
  { name: 'stories', needs: ['stories'], python: true, beyond: true, app: true },
  { name: 'wedding', needs: ['wedding'], python: true, beyond: true, app: true },
  { name: 'documents', needs: ['bin'], beyond: true },
  { name: 'api', needs: ['bam'], beyond: true },
  { name: 'relay', needs: ['bin'], beyond: true },
  { name: 'plain', needs: ['bin'], beyond: true },
  { name: 'classroom', needs: ['bin'], beyond: true, python: true, app: true },
  { name: 'studio', needs: ['bin'], beyond: true, app: true },
  { name: 'webhooks', needs: ['bin'], beyond: true },
  { name: 'push', needs: ['bin'], beyond: true },
  { name: 'hostile', needs: ['bin'], beyond: true },
  { name: 'crash', needs: ['bin'], beyond: true },
];

const { values: options } = parseArgs({
  options: {
    reference: { type: 'boolean', default: false },
    bin: { type: 'string' },
    'engine-example': { type: 'string' },
    only: { type: 'string' },
    python: { type: 'string' },
  },
});

/** Runs a program to its end with our own output; gives its exit code. */
function run(command, args, env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: HERE, env: { ...process.env, ...env }, stdio: 'inherit' });
    child.on('error', () => resolve(127));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** A Python with the clients of requirements.txt: made once, and again when that file changes. */
function python() {
  if (options.python) return path.resolve(options.python);
  const binary = path.join(VENV, 'bin', 'python');
  const wanted = readFileSync(path.join(HERE, 'requirements.txt'), 'utf8');
  const stamp = path.join(VENV, 'requirements.txt');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return binary;
  const step = (command, args, what) => {
    if (spawnSync(command, args, { stdio: 'inherit' }).status !== 0) throw new Error(`unable to ${what}`);
  };
  step('python3', ['-m', 'venv', VENV], 'make a Python environment');
  step(binary, ['-m', 'pip', 'install', '--quiet', '-r', path.join(HERE, 'requirements.txt')], 'install the Python clients');
  writeFileSync(stamp, wanted);
  return binary;
}

function filesOf(folder) {
  const all = readdirSync(path.join(HERE, folder)).filter((name) => name.endsWith('.test.mjs'));
  return all.sort().map((name) => path.join(folder, name));
}

/** What a group needs and what there is: starts each server once, on first use. */
function servers() {
  const started = new Map();
  const start = async (need) => {
    if (need === 'engine') {
      if (options.reference) return referenceEngine();
      if (options['engine-example']) return engineExample(options['engine-example']);
      return process.env.RELAIS_ENGINE_URL ? { env: {} } : null;
    }
    if (need === 'bam') {
      if (options.reference) return referenceBam();
      if (options.bin) return relais(options.bin);
      return process.env.RELAIS_URL ? { env: {} } : null;
    }
    if (need === 'stories' || need === 'wedding') return options.bin ? relais(options.bin, { RELAIS_APP: need }) : null;
    return null;
  };
  return {
    async env(needs) {
      let env = options.bin ? { RELAIS_BIN: path.resolve(options.bin) } : {};
      for (const need of needs) {
        if (need === 'bin') {
          if (!options.bin && !process.env.RELAIS_BIN) return null;
          continue;
        }
        if (!started.has(need)) started.set(need, await start(need));
        if (!started.get(need)) return null;
        env = { ...env, ...started.get(need).env };
      }
      return env;
    },
    async stop() {
      for (const server of started.values()) {
        if (server?.remove) await server.remove();
        else if (server?.program) await server.program.kill();
      }
    },
  };
}

/** Where a group's tests are listed by name, for SPECIFICATIONS.md. */
const listOf = (group) => path.join(lists, `${group}.jsonl`);
const documentsOf = (app) => path.join(lists, `${app}.documents.json`);

async function runGroup(group, env) {
  const files = filesOf(group.name);
  let code = 0;
  if (files.length > 0) {
    const args = ['--test', '--test-force-exit', '--test-concurrency=2', '--test-reporter=spec', '--test-reporter-destination=stdout'];
    args.push('--test-reporter=./lib/names.mjs', `--test-reporter-destination=${listOf(group.name)}`);
    code = await run(process.execPath, [...args, ...files], env);
  }
  if (group.python && existsSync(path.join(HERE, group.name, 'python'))) {
    const found = ['-m', 'unittest', 'discover', '-v', '-s', path.join(group.name, 'python'), '-p', 'test_*.py'];
    const shared = path.join(HERE, 'lib', 'python');
    code = (await run(python(), found, { ...env, PYTHONPATH: shared, PYTHONDONTWRITEBYTECODE: '1' })) || code;
  }
  return code;
}

/** What the server says of each app, as files for `witness.mjs`. */
async function documents() {
  const server = await relais(options.bin);
  try {
    for (const { name } of GROUPS.filter(({ app }) => app)) {
      const openapi = await (await fetch(`${server.url}/${name}/openapi.json`)).json();
      const asyncapi = JSON.parse(execFileSync(path.resolve(options.bin), ['app', 'asyncapi', name]));
      writeFileSync(documentsOf(name), JSON.stringify({ app: name, asyncapi, openapi }));
    }
  } finally {
    await server.remove();
  }
}

/** Whether the tests of an app's group have done all that the app has. */
function covered(name) {
  const { count, missing } = coverage(documentsOf(name));
  missing.forEach((sentence) => console.error(`${name}: ${sentence}`));
  if (missing.length > 0) process.exitCode = 1;
  results.push([name, missing.length > 0 ? 'FAILED: not all of the app is tested, see above' : `all of the app is tested: ${count}`]);
}

/** Whether each requirement has its tests, when the groups that hold them were run. */
function specifications() {
  const files = (options.reference ? ['protocol', 'bam'] : ['protocol', 'relais', 'bam']).map(listOf);
  if (!files.every(existsSync)) return;
  const rows = requirements(readFileSync(path.join(HERE, 'SPECIFICATIONS.md'), 'utf8'));
  const wrong = complaints(rows, tests(files), { reference: options.reference });
  wrong.forEach((sentence) => console.error(`SPECIFICATIONS.md: ${sentence}`));
  if (wrong.length > 0) process.exitCode = 1;
  results.push(['specified', wrong.length > 0 ? 'FAILED: see above' : `${rows.length} requirements have their tests`]);
}

const lists = mkdtempSync(path.join(tmpdir(), 'relais-conformance-names-'));
const only = options.only?.split(',');
const running = servers();
const results = [];
try {
  if (options.bin && !options.reference) await documents();
  for (const group of GROUPS) {
    if (only && !only.includes(group.name)) continue;
    if (options.reference && group.beyond) {
      results.push([group.name, 'not run: it holds what is asked beyond the reference']);
      continue;
    }
    const env = await running.env(group.needs);
    if (!env) {
      results.push([group.name, `not run: needs ${group.needs.join(' and ')}`]);
      continue;
    }
    console.log(`\n== ${group.name}`);
    const began = Date.now();
    const watched = group.app && existsSync(documentsOf(group.name));
    const code = await runGroup(group, watched ? { ...env, RELAIS_WITNESS: documentsOf(group.name) } : env);
    if (code !== 0) process.exitCode = 1;
    results.push([group.name, `${code === 0 ? 'passed' : 'FAILED'} in ${((Date.now() - began) / 1000).toFixed(1)} s`]);
    if (watched) covered(group.name);
  }
  specifications();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await running.stop();
  rmSync(lists, { recursive: true, force: true });
}
console.log('');
for (const [name, result] of results) console.log(`${name.padEnd(10)} ${result}`);
if (!results.some(([, result]) => result.startsWith('passed') || result.startsWith('FAILED'))) {
  console.error('nothing was run: give --reference, or --bin and --engine-example, or addresses (README.md)');
  process.exitCode = 2;
}
