//! People of a server that a test has started itself: tokens with its key, stock clients, their events in an inbox.
//!
//! In: what `relais()` gave. Out: connected clients. The like for the server of the whole run is in `bam.mjs`.

import assert from 'node:assert/strict';
import { token, unique } from './bam.mjs';
import { ask, connected, start } from './stock.mjs';

export class People {
  constructor(t, server) {
    this.server = server;
    this.bam = unique('bam');
    this.sockets = [];
    t.after(() => this.sockets.forEach((socket) => socket.close()));
  }

  /** Somebody who is in the room, over `url` when there is a proxy between. */
  async enter(name, { url = this.server.url, ...options } = {}) {
    const id = unique(name);
    const bearer = token({ sub: id, name, bams: [this.bam] }, this.server.secrets.JWT_SECRET);
    const { socket, inbox } = start(url, { transports: ['websocket'], auth: { token: bearer }, ...options });
    this.sockets.push(socket);
    await connected(socket);
    const [answer] = await ask(socket, 'join-bam', this.bam);
    assert.equal(answer.success, true, JSON.stringify(answer));
    const about = (event, who) => inbox.all.filter(({ name: is, args }) => is === event && args[0].userId === who.id);
    const hears = (event, who, ms) => inbox.next(`${name} hears ${event} of ${who.id}`, ({ name: is, args }) => is === event && args[0].userId === who.id, ms);
    return { id, token: bearer, socket, inbox, about, hears };
  }
}
