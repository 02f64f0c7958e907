//! A stand-in for ComfyUI: its HTTP routes and its WebSocket, with a queue of one at a time, and no model.
//!
//! In: a port, and what the next prompts do (`script`). Out: what it was asked. What it says and when follows ComfyUI's server.py, execution.py
//! and main.py: messages go to the socket of the prompt's client, the history is written before `executing` with no node is told, and all of it is
//! gone when it is killed.

import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { WebSocketServer } from 'ws';
import { pause } from './wait.mjs';

export class Comfy {
  constructor(port, picture) {
    Object.assign(this, { port, picture, url: `http://127.0.0.1:${port}`, prompts: [], interrupted: [], deleted: [], sockets: 0 });
    /** `{steps, hold, error, refuse, drop}`: see `execute`. */
    this.script = {};
  }

  async start() {
    Object.assign(this, { queue: [], running: null, history: {}, clients: new Map(), files: new Map(), number: 0, alive: true });
    this.server = http.createServer((request, response) => this.answer(request, response));
    this.webSockets = new WebSocketServer({ noServer: true });
    this.server.on('upgrade', (request, socket, head) => {
      const url = new URL(request.url, this.url);
      if (url.pathname !== '/ws') return socket.destroy();
      this.webSockets.handleUpgrade(request, socket, head, (client) => this.greet(client, url.searchParams.get('clientId') || randomUUID()));
    });
    await new Promise((resolve) => this.server.listen(this.port, '127.0.0.1', resolve));
    return this;
  }

  /** Everything is forgotten, nothing is said. */
  async kill() {
    this.alive = false;
    this.running = null;
    for (const client of this.webSockets.clients) client.terminate();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** The connections go, what is executed does not. */
  drop() {
    for (const client of this.webSockets.clients) client.terminate();
  }

  greet(client, sid) {
    this.sockets += 1;
    this.clients.set(sid, client);
    client.on('close', () => this.clients.get(sid) === client && this.clients.delete(sid));
    this.tell(sid, 'status', { status: this.info(), sid });
    if (this.running?.client === sid && this.running.node) this.tell(sid, 'executing', { node: this.running.node });
  }

  tell(sid, type, data) {
    this.clients.get(sid)?.send(JSON.stringify({ type, data }));
  }

  info() {
    return { exec_info: { queue_remaining: this.queue.length + (this.running ? 1 : 0) } };
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    let text = '';
    for await (const chunk of request) text += chunk;
    const json = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const route = `${request.method} ${url.pathname.replace(/^\/history\/.*/, '/history/ID')}`;
    if (route === 'POST /prompt') return this.take(JSON.parse(text), json);
    if (route === 'GET /history/ID') {
      const id = url.pathname.slice('/history/'.length);
      return json(200, this.history[id] ? { [id]: this.history[id] } : {});
    }
    if (route === 'GET /queue') {
      const row = (prompt) => [prompt.number, prompt.id, prompt.graph, { client_id: prompt.client }, ['file']];
      return json(200, { queue_running: this.running ? [row(this.running)] : [], queue_pending: this.queue.map(row) });
    }
    if (route === 'POST /queue') {
      const { delete: ids = [] } = JSON.parse(text);
      this.deleted.push(...ids);
      this.queue = this.queue.filter((prompt) => !ids.includes(prompt.id));
      return response.writeHead(200).end();
    }
    if (route === 'POST /interrupt') {
      if (this.running) this.running.interrupted = true;
      this.interrupted.push(this.running?.id);
      return response.writeHead(200).end();
    }
    if (route === 'GET /view') {
      const file = this.files.get(['type', 'subfolder', 'filename'].map((name) => url.searchParams.get(name)).join('/'));
      return file ? response.writeHead(200, { 'content-type': 'image/png' }).end(file) : response.writeHead(404).end();
    }
    return response.writeHead(404).end();
  }

  take({ prompt: graph, client_id: client }, json) {
    if (this.script.refuse) return json(400, this.script.refuse);
    const prompt = { id: randomUUID(), number: (this.number += 1), graph, client, script: this.script };
    this.prompts.push(prompt);
    this.queue.push(prompt);
    json(200, { prompt_id: prompt.id, number: prompt.number, node_errors: {} });
    this.work();
  }

  async work() {
    if (this.running || this.queue.length === 0) return;
    const prompt = (this.running = this.queue.shift());
    const messages = [];
    const say = (type, data) => {
      messages.push([type, { ...data, timestamp: Date.now() }]);
      this.tell(prompt.client, type, { ...data, prompt_id: prompt.id, timestamp: Date.now() });
    };
    const how = await this.execute(prompt, say);
    if (this.running !== prompt) return; // it was killed meanwhile
    this.history[prompt.id] = {
      prompt: [prompt.number, prompt.id, prompt.graph, { client_id: prompt.client }, ['file']],
      outputs: how.outputs ?? {},
      status: { status_str: how.outputs ? 'success' : 'error', completed: Boolean(how.outputs), messages },
    };
    this.running = null;
    this.tell(prompt.client, 'executing', { node: null, prompt_id: prompt.id });
    this.work();
  }

  /** Its steps of the sampler, each after a while; it stays at step `hold` until `script.go` is set, then may fail with `error`. */
  async execute(prompt, say) {
    const { script, id } = prompt;
    const steps = script.steps ?? 4;
    const tell = (type, data) => this.tell(prompt.client, type, { ...data, prompt_id: id });
    say('execution_start', { prompt_id: id });
    say('execution_cached', { nodes: ['model'], prompt_id: id });
    prompt.node = 'sampler';
    tell('executing', { node: 'sampler' });
    for (let step = 1; step <= steps; step += 1) {
      await pause(script.pause ?? 30);
      tell('progress', { value: step, max: steps, node: 'sampler' });
      // A preview: four bytes of its kind, four of its format, then a picture.
      this.clients.get(prompt.client)?.send(Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xd8, 0xff]));
      while (step === script.hold && !script.go && this.alive && !prompt.interrupted) await pause(10);
      if (prompt.interrupted) {
        say('execution_interrupted', { prompt_id: id, node_id: 'sampler', node_type: 'KSampler', executed: [] });
        return {};
      }
    }
    if (script.error) {
      say('execution_error', { prompt_id: id, node_id: 'sampler', node_type: 'KSampler', executed: [], exception_message: script.error, exception_type: 'RuntimeError', traceback: [] });
      return {};
    }
    const size = prompt.graph.empty?.inputs ?? { width: 8, height: 8, batch_size: 1 };
    const images = Array.from({ length: size.batch_size }, (_, index) => {
      const file = { filename: `picture_${String(index + 1).padStart(5, '0')}_.png`, subfolder: `relais ${id}`, type: 'output' };
      this.files.set(`output/${file.subfolder}/${file.filename}`, script.bytes ?? this.picture(size.width, size.height, index));
      return file;
    });
    const outputs = { file: { images } };
    prompt.node = 'file';
    tell('executing', { node: 'file' });
    tell('executed', { node: 'file', display_node: 'file', output: outputs.file });
    say('execution_success', { prompt_id: id });
    return { outputs };
  }
}
