//! Senders, receivers and a ledger: who was told what, so that after any fault every message can be accounted for.
//!
//! In: a running server. Out: load over stock clients, and the assertions of the delivery contract (C1 to C5) over
//! acknowledged, received and stored messages.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { http, token, unique } from './bam.mjs';
import { connected, start } from './stock.mjs';
import { eventually, within } from './wait.mjs';

const ACK_TIMEOUT_MS = 2000;

/** Every way that clients come, one after another. */
const WAYS = [['websocket'], ['polling', 'websocket'], ['polling']];

/** A stock client that counts its returns, and whether each was a recovery. */
class Client {
  constructor(load, name, options) {
    this.id = unique(name);
    this.token = token({ sub: this.id, name, bams: [load.bam] }, load.secret);
    this.received = [];
    this.way = options.transports.join(', then ');
    this.returns = [];
    const { socket } = start(load.url, { auth: { token: this.token }, timeout: 3000, ...options });
    this.socket = socket;
    let before = false;
    this.last = 'never connected';
    socket.on('connect', () => {
      if (before) this.returns.push(socket.recovered);
      before = true;
      this.last = 'connected';
    });
    socket.on('connect_error', (error) => (this.last = `connect_error: ${error.message} ${JSON.stringify(error.data ?? null)}`));
    socket.on('disconnect', (reason) => (this.last = `disconnect: ${reason}`));
    socket.on('new-message', (message) => this.received.push(message));
  }

  /** For a failure: how it comes, what it heard last, and where its engine stands. */
  toString() {
    const { engine, _readyState: manager } = this.socket.io;
    return `${this.id} (${this.way}): ${this.last}; active ${this.socket.active}, manager ${manager}, engine ${engine?.readyState} over ${engine?.transport?.name} as ${engine?.id}`;
  }

  async join(bam) {
    await connected(this.socket, 20000);
    const answer = await within(this.socket.emitWithAck('join-bam', bam), 'the ack of join-bam', 20000);
    assert.equal(answer.success, true, JSON.stringify(answer));
  }
}

export class Load {
  constructor(server) {
    this.url = server.url;
    this.secret = server.secrets.JWT_SECRET;
    this.bam = unique('bam');
    this.clients = [];
    this.senders = [];
    this.receivers = [];
    this.acked = new Map();
    this.refused = [];
    this.sending = false;
  }

  /** Senders have `retries`: what is not acknowledged they send again, with the same tempId. */
  async start({ senders, receivers }) {
    for (let n = 0; n < senders; n += 1) this.senders.push(new Client(this, 'sender', { retries: 10000, ackTimeout: ACK_TIMEOUT_MS, transports: WAYS[n % 3] }));
    for (let n = 0; n < receivers; n += 1) this.receivers.push(new Client(this, 'receiver', { transports: WAYS[n % 3] }));
    this.clients = [...this.senders, ...this.receivers];
    await Promise.all(this.clients.map((client) => client.join(this.bam)));
    this.sending = true;
    this.loops = this.senders.map((sender) => this.send(sender));
  }

  /** One message after another, each kept in the ledger when its ack comes. */
  async send(sender) {
    while (this.sending) {
      // Whole UUIDs: among tens of thousands of messages anything shorter would meet itself by chance.
      const tempId = randomUUID();
      const payload = { bamId: this.bam, content: `${sender.id} ${tempId}`, tempId };
      const answer = await sender.socket.emitWithAck('send-message', payload);
      if (answer.success) this.acked.set(tempId, answer.message);
      else {
        this.refused.push(answer.error);
        if (!answer.error.retryable) throw new Error(`refused for good: ${JSON.stringify(answer.error)}`);
      }
    }
  }

  /** Lets every sender finish what it has under way. */
  async finish(ms = 60000) {
    this.sending = false;
    await within(Promise.all(this.loops), 'every message under way is acknowledged', ms);
  }

  reconnected(ms) {
    return eventually('every client is connected again', () => {
      const away = this.clients.filter((client) => !client.socket.connected);
      if (away.length > 0) throw new Error(away.join('\n'));
      return true;
    }, ms);
  }

  /** The whole room as the server has it, page by page. */
  async history() {
    const all = [];
    for (;;) {
      const after = all.length === 0 ? 0 : all.at(-1).seq;
      const { status, body } = await http('GET', `/bams/${this.bam}/messages?after=${after}&limit=100`, { url: this.url, token: this.clients[0].token });
      assert.equal(status, 200, JSON.stringify(body));
      all.push(...body.messages);
      if (!body.hasMore) return all;
    }
  }

  /** Nothing acknowledged is lost, nothing comes twice, one order for all, no holes. */
  async account() {
    const stored = await this.history();
    assert.deepEqual(stored.map((message) => message.seq), stored.map((_, index) => index + 1), 'seq is contiguous');
    const byTempId = new Map(stored.map((message) => [message.tempId, message]));
    const again = stored.filter((message) => byTempId.get(message.tempId) !== message);
    assert.deepEqual(again, [], 'no tempId is stored twice');
    for (const [tempId, message] of this.acked) assert.deepEqual(byTempId.get(tempId), message, 'what was acknowledged is stored as it was acknowledged');
    await eventually('every receiver has everything', () => this.receivers.every((receiver) => receiver.received.at(-1)?.seq === stored.at(-1).seq), 30000);
    for (const receiver of this.receivers) {
      const seqs = receiver.received.map((message) => message.seq);
      const twice = seqs.filter((seq, at) => seqs.indexOf(seq) !== at);
      assert.deepEqual(twice, [], `a receiver over ${receiver.way} has nothing twice`);
      assert.equal(receiver.received.length, stored.length, `a receiver over ${receiver.way} misses nothing`);
      assert.deepEqual(receiver.received, stored, `${receiver.id}: the one order`);
    }
    return stored;
  }

  /** How many times clients came back, and how many of those times were no recovery. */
  returns() {
    const all = this.clients.flatMap((client) => client.returns);
    return { total: all.length, fresh: all.filter((recovered) => recovered !== true).length };
  }

  close() {
    this.sending = false;
    this.clients.forEach((client) => client.socket.close());
  }
}
