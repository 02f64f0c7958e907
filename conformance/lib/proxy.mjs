//! A TCP proxy that misbehaves on request: cuts, stalls, slows down, refuses.
//!
//! In: the address of a server. Out: an address of its own that leads there, until a test says otherwise.
//! It forwards bytes and knows nothing of what they mean.

import net from 'node:net';
import { once } from 'node:events';
import { within, pause } from './wait.mjs';

const TICK_MS = 10;

export class Proxy {
  /** A proxy in front of `url`, on a port of its own. */
  static async to(url) {
    const proxy = new Proxy();
    const target = new URL(url);
    proxy.target = { host: target.hostname.replace(/[[\]]/g, ''), port: Number(target.port || 80) };
    proxy.links = new Set();
    proxy.abandoned = new Set();
    proxy.refusing = false;
    proxy.stalled = false;
    proxy.rate = null;
    proxy.server = net.createServer((client) => proxy.accept(client));
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  accept(client) {
    if (this.refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = net.connect(this.target);
    const link = { client, upstream };
    this.links.add(link);
    const end = () => {
      this.links.delete(link);
      clearInterval(link.timer);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    client.pipe(upstream);
    this.forward(link);
    if (this.stalled) this.pause(link);
  }

  /** Server to client: at full speed, or `rate` bytes a second while the rest waits in the server's own buffers. */
  forward(link) {
    const { client, upstream } = link;
    if (this.rate === null) {
      upstream.pipe(client);
      return;
    }
    upstream.pause();
    link.timer = setInterval(() => {
      if (this.stalled || client.writableNeedDrain) return;
      const most = this.rate === null ? undefined : Math.max(1, Math.floor((this.rate * TICK_MS) / 1000));
      const chunk = most === undefined ? upstream.read() : (upstream.read(most) ?? upstream.read());
      if (chunk) client.write(chunk);
    }, TICK_MS);
  }

  pause(link) {
    link.client.unpipe(link.upstream);
    link.upstream.unpipe(link.client);
    link.client.pause();
    link.upstream.pause();
  }

  /** Tears every connection away; `reset` leaves both ends an RST instead of a clean end. */
  cut({ reset = true } = {}) {
    for (const { client, upstream } of [...this.links]) {
      if (reset) {
        client.resetAndDestroy();
        upstream.resetAndDestroy();
      } else {
        client.end();
        upstream.end();
      }
    }
  }

  /** Tears the clients' ends away and keeps the server's open and silent: it is not told. */
  abandonClients() {
    for (const link of [...this.links]) {
      const { client, upstream } = link;
      upstream.unpipe(client);
      client.unpipe(upstream);
      client.removeAllListeners('close');
      upstream.pause();
      client.resetAndDestroy();
      this.abandoned.add(upstream);
    }
  }

  /** New connections are refused until `welcome`. */
  refuse() {
    this.refusing = true;
  }

  welcome() {
    this.refusing = false;
  }

  /** Bytes stop in both directions; neither end is told. */
  stall() {
    this.stalled = true;
    for (const link of this.links) this.pause(link);
  }

  /** Bytes go on after a stall. */
  resume() {
    this.stalled = false;
    for (const link of this.links) {
      link.client.pipe(link.upstream);
      if (!link.timer) this.forward(link);
    }
  }

  /** Limits server → client to `bytesPerSecond`, for connections opened from now on. `null` lifts it for all. */
  slow(bytesPerSecond) {
    this.rate = bytesPerSecond;
  }

  /** Connections that it carries now. */
  get open() {
    return this.links.size;
  }

  async close() {
    this.cut();
    for (const upstream of this.abandoned) upstream.destroy();
    this.server.close();
  }
}

/** Cuts until the client has noticed: between two polls there is no link to cut. */
export async function cutUntilGone(proxy, socket) {
  let gone = false;
  const noticed = new Promise((resolve) => socket.once('disconnect', resolve)).finally(() => (gone = true));
  const cutting = (async () => {
    while (!gone) {
      proxy.cut();
      await pause(5);
    }
  })();
  try {
    return await within(noticed, 'the client notices the cut');
  } finally {
    gone = true;
    await cutting;
  }
}
