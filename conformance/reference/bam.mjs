//! A `bam` server as teams write it by hand on Node's Socket.IO: what stock clients see of one, to try the tests of `bam/` with.
//!
//! In: PORT, JWT_SECRET, API_KEY, ALLOWED_ORIGINS. Out: Socket.IO and the HTTP routes, all state in memory, connection state
//! recovery as the library has it. It has the library's known holes; tests that need them closed are not run against it.

import http from 'node:http';
import { Server } from 'socket.io';
import { verify } from '../lib/token.mjs';
import { handler } from './bam-http.mjs';
import { Refusal, Tenant, idOf } from './bam-rooms.mjs';

const GRACE_MS = 5000;
const TYPING_MS = 5000;
const STATUSES = ['online', 'away', 'busy'];

/** Who a good token speaks for. */
export function identify(claims) {
  const id = claims.sub ?? claims.userId ?? claims.id;
  const name = claims.name ?? claims.userName ?? claims.username ?? claims.email ?? String(id);
  return { id, name, role: claims.role ?? null, bams: claims.bams ?? [], tenant: claims.tenant ?? 'default' };
}

export const someone = (person) => ({ userId: person.id, userName: person.name, role: person.role, status: person.status });

export class Bam {
  constructor(io) {
    this.io = io;
    this.tenants = new Map();
    this.started = Date.now();
    this.sent = [];
  }

  tenant(name) {
    if (!this.tenants.has(name)) this.tenants.set(name, new Tenant());
    return this.tenants.get(name);
  }

  to(tenant, kind, id) {
    return this.io.to(JSON.stringify([tenant, kind, String(id)]));
  }

  join(socket, bamId) {
    const { user } = socket.data;
    const tenant = this.tenant(user.tenant);
    tenant.requireMember(bamId, user);
    if (!socket.data.joined.has(bamId)) {
      const first = !tenant.online(bamId).some((person) => String(person.id) === String(user.id));
      socket.data.joined.add(bamId);
      socket.join(JSON.stringify([user.tenant, 'bam', bamId]));
      if (first) this.others(user, bamId).emit('user-joined-bam', { bamId, userId: user.id, userName: user.name });
    }
    return { bamId, onlineUsers: tenant.online(bamId).map(someone), lastSeq: tenant.lastSeq(bamId) };
  }

  /** The room without the user's own sessions. */
  others(user, bamId) {
    return this.to(user.tenant, 'bam', bamId).except(JSON.stringify([user.tenant, 'user', String(user.id)]));
  }

  leave(socket, bamId) {
    const { user } = socket.data;
    if (!socket.data.joined.delete(bamId)) throw new Refusal('NOT_IN_ROOM', 'not in this BAM');
    this.endTyping(socket, bamId);
    socket.leave(JSON.stringify([user.tenant, 'bam', bamId]));
    const still = this.tenant(user.tenant).online(bamId).some((person) => String(person.id) === String(user.id));
    if (!still) this.others(user, bamId).emit('user-left-bam', { bamId, userId: user.id, userName: user.name });
    return { bamId };
  }

  requireJoined(socket, bamId) {
    this.tenant(socket.data.user.tenant).requireMember(bamId, socket.data.user);
    if (!socket.data.joined.has(bamId)) throw new Refusal('NOT_IN_ROOM', 'join this BAM first');
  }

  send(user, bamId, fields) {
    const { message, fresh } = this.tenant(user.tenant).send(bamId, user, fields);
    if (fresh) {
      this.sent.push(Date.now());
      const target = message.toUserId === undefined
        ? this.to(user.tenant, 'bam', bamId)
        : this.to(user.tenant, 'user', message.toUserId).to(JSON.stringify([user.tenant, 'user', String(user.id)]));
      target.emit('new-message', message);
    }
    return message;
  }

  typing(socket, bamId, isTyping) {
    this.requireJoined(socket, bamId);
    const timers = socket.data.typing;
    clearTimeout(timers.get(bamId));
    if (!isTyping) {
      this.endTyping(socket, bamId);
      return;
    }
    if (!timers.has(bamId)) this.sayTyping(socket, bamId, true);
    timers.set(bamId, setTimeout(() => this.endTyping(socket, bamId), TYPING_MS));
  }

  endTyping(socket, bamId) {
    const timers = socket.data.typing;
    if (!timers.has(bamId)) return;
    clearTimeout(timers.get(bamId));
    timers.delete(bamId);
    this.sayTyping(socket, bamId, false);
  }

  sayTyping(socket, bamId, isTyping) {
    const { user } = socket.data;
    this.others(user, bamId).emit('typing-status', { bamId, userId: user.id, userName: user.name, isTyping });
  }

  /**
   * Tells those who share a room with this person, each session once. Not volatile: this library drops a volatile event
   * that comes right behind another one, because the transport is not writable in between.
   */
  sayPresence(person, rooms, status) {
    const names = [...rooms].map((bamId) => JSON.stringify([person.tenant, 'bam', bamId]));
    if (names.length === 0) return;
    const own = JSON.stringify([person.tenant, 'user', String(person.id)]);
    this.io.to(names).except(own).emit('presence-update', { userId: person.id, userName: person.name, status, lastSeen: person.lastSeen });
  }

  setStatus(socket, status) {
    if (!STATUSES.includes(status)) throw new Refusal('INVALID_PAYLOAD', 'status must be online, away or busy');
    const person = this.tenant(socket.data.user.tenant).person(socket.data.user);
    if (person.status !== status) {
      person.status = status;
      person.lastSeen = new Date().toISOString();
      this.sayPresence(person, this.roomsOf(person), status);
    }
    return { status };
  }

  roomsOf(person) {
    return new Set([...person.sockets].flatMap((socket) => [...socket.data.joined]));
  }

  arrive(socket) {
    const person = this.tenant(socket.data.user.tenant).person(socket.data.user);
    clearTimeout(person.grace);
    person.grace = null;
    person.graceRooms = null;
    person.sockets.add(socket);
    person.lastSeen = new Date().toISOString();
  }

  depart(socket, reason) {
    const person = this.tenant(socket.data.user.tenant).person(socket.data.user);
    for (const bamId of [...socket.data.typing.keys()]) this.endTyping(socket, bamId);
    const rooms = this.roomsOf(person);
    person.sockets.delete(socket);
    person.lastSeen = new Date().toISOString();
    if (person.sockets.size > 0) return;
    const offline = () => {
      person.graceRooms = null;
      for (const bamId of rooms) this.others(person, bamId).emit('user-left-bam', { bamId, userId: person.id, userName: person.name });
      this.sayPresence(person, rooms, 'offline');
      person.status = 'online';
    };
    if (reason === 'client namespace disconnect') return offline();
    person.graceRooms = rooms;
    person.grace = setTimeout(offline, GRACE_MS);
  }
}

/** What each client event does; each gives the body of its ack. */
const EVENTS = {
  'join-bam': (bam, socket, bamId) => bam.join(socket, idOf(bamId)),
  'leave-bam': (bam, socket, bamId) => bam.leave(socket, idOf(bamId)),
  'send-message': (bam, socket, payload) => {
    const { bamId, content, type, tempId } = payload ?? {};
    bam.requireJoined(socket, idOf(bamId));
    const message = bam.send(socket.data.user, idOf(bamId), { content, type, tempId });
    bam.endTyping(socket, idOf(bamId));
    return { message };
  },
  'get-messages': (bam, socket, payload) => {
    const { bamId, ...page } = payload ?? {};
    const { user } = socket.data;
    bam.tenant(user.tenant).requireMember(idOf(bamId), user);
    return bam.tenant(user.tenant).history(idOf(bamId), user, page);
  },
  'mark-read': (bam, socket, payload) => {
    const { bamId, seq } = payload ?? {};
    bam.requireJoined(socket, idOf(bamId));
    if (!Number.isInteger(seq) || seq < 0) throw new Refusal('INVALID_PAYLOAD', 'seq must be a whole number');
    const { user } = socket.data;
    bam.to(user.tenant, 'bam', bamId).emit('messages-read', { bamId: idOf(bamId), userId: user.id, seq });
    return { bamId: idOf(bamId), seq };
  },
  'typing-start': (bam, socket, bamId) => bam.typing(socket, idOf(bamId), true),
  'typing-stop': (bam, socket, bamId) => bam.typing(socket, idOf(bamId), false),
  'status-change': (bam, socket, status) => bam.setStatus(socket, status),
};

function handle(bam, socket, [name, ...args]) {
  const ack = typeof args.at(-1) === 'function' ? args.pop() : null;
  try {
    if (!Object.hasOwn(EVENTS, name)) throw new Refusal('UNKNOWN_EVENT', `no event ${name}`);
    const body = EVENTS[name](bam, socket, ...args);
    ack?.({ success: true, ...body });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const answer = { success: false, error: { code: error.code, message: error.message, retryable: false } };
    if (ack) ack(answer);
    else socket.emit('error', { ...answer, event: name });
  }
}

export function startBam(port) {
  const { JWT_SECRET, API_KEY, ALLOWED_ORIGINS = '' } = process.env;
  const origins = ALLOWED_ORIGINS.split(',');
  const server = http.createServer();
  const io = new Server(server, {
    cors: { origin: origins, credentials: true },
    connectionStateRecovery: { maxDisconnectionDuration: 120000, skipMiddlewares: false },
    allowRequest: (request, done) => done(null, !request.headers.origin || origins.includes(request.headers.origin)),
  });
  const bam = new Bam(io);
  io.use((socket, next) => {
    const { auth, headers, query } = socket.handshake;
    const token = auth.token ?? headers.authorization?.replace(/^Bearer /, '') ?? query.token;
    const { claims, error } = verify(token, JWT_SECRET);
    if (error) return next(Object.assign(new Error(error), { data: { code: error } }));
    socket.data.user = identify(claims);
    return next();
  });
  io.on('connection', (socket) => {
    const { user } = socket.data;
    socket.data.joined ??= new Set();
    socket.data.typing = new Map();
    bam.arrive(socket);
    if (!socket.recovered) {
      socket.join(JSON.stringify([user.tenant, 'user', String(user.id)]));
      socket.emit('connected', { userId: user.id, userName: user.name, role: user.role, sessionId: socket.id });
    }
    // Middleware, so that names nobody declared are answered as well.
    socket.use((packet) => handle(bam, socket, packet));
    socket.on('disconnect', (reason) => bam.depart(socket, reason));
  });
  server.on('request', handler(bam, { secret: JWT_SECRET, key: API_KEY, origins }));
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}
