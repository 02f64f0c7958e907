//! Servers as child processes: a free port, a start that waits until it answers, an end that waits until it is gone.
//!
//! In: a program, its arguments and environment. Out: a handle that can stop, kill and start again at the same address.
//! It knows nothing of what the server speaks, only that an HTTP address answers when it is ready.

import { spawn } from 'node:child_process';
import net from 'node:net';
import { eventually, within } from './wait.mjs';

// Below the ports that the system gives to outgoing connections: so a restarted server finds its port free.
const FIRST_PORT = Number(process.env.RELAIS_TEST_PORTS ?? 4200);
const PORTS = 100;
// `fetch` refuses these, whoever listens there.
const REFUSED_PORTS = new Set([4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697]);

/** A port on which nobody listens now. */
export async function freePort() {
  const start = Math.floor(Math.random() * PORTS);
  for (let n = 0; n < PORTS; n += 1) {
    const port = FIRST_PORT + ((start + n) % PORTS);
    if (REFUSED_PORTS.has(port)) continue;
    const free = await new Promise((resolve) => {
      const probe = net.createServer();
      probe.on('error', () => resolve(false));
      probe.listen(port, '::', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}

export class Program {
  constructor(command, args, { env, ready }) {
    Object.assign(this, { command, args, env, ready, output: '' });
  }

  /** Starts it, and waits until `ready` (an HTTP address) answers anything at all. */
  async start(ms = 20000) {
    const child = spawn(this.command, this.args, { env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.gone = new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve({ code, signal }));
      child.on('error', (error) => resolve({ error }));
    });
    // The last lines are enough to say why a server would not start; a loop of kills must not fill the memory.
    const keep = (chunk) => (this.output = (this.output + chunk).slice(-8000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const ready = eventually(`${this.command} answers at ${this.ready}`, () => fetch(this.ready, { signal: AbortSignal.timeout(1000) }), ms);
    const ended = this.gone.then((how) => {
      throw new Error(`${this.command} ended before it was ready: ${JSON.stringify(how)} ${this.output}`);
    });
    ended.catch(() => {});
    await Promise.race([ready, ended]);
    return this;
  }

  /** SIGKILL: nothing is flushed, nothing is said. */
  async kill() {
    this.child.kill('SIGKILL');
    return within(this.gone, 'the killed server is gone');
  }

  /** SIGTERM, and SIGKILL when it does not go. */
  async stop(ms = 35000) {
    this.child.kill('SIGTERM');
    try {
      return await within(this.gone, `${this.command} ends on SIGTERM`, ms);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }
}
