//! What a hand-written `bam` server keeps in memory: rooms, their members and messages, users and who is online.
//!
//! In: who does what. Out: what is to be sent, or a `Refusal`. It knows no socket and no HTTP, and forgets all at its end.

import { randomUUID } from 'node:crypto';

export class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export const STATUS_OF = {
  INVALID_PAYLOAD: 400,
  UNKNOWN_EVENT: 404,
  FORBIDDEN: 403,
  NOT_A_MEMBER: 403,
  NOT_IN_ROOM: 409,
  NOT_FOUND: 404,
  IDEMPOTENCY_CONFLICT: 409,
  TOKEN_MISSING: 401,
  TOKEN_INVALID: 401,
  TOKEN_EXPIRED: 401,
};

const TYPES = ['text', 'image', 'file'];

const invalid = (message) => {
  throw new Refusal('INVALID_PAYLOAD', message);
};

/** An id as clients and paths carry it: text of 1 to 64 characters, or a number. */
export function idOf(value) {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' || value.length === 0 || value.length > 64) invalid('not an id');
  return value;
}

function pageOf({ before, after, limit }) {
  for (const [name, value, most] of [['before', before, Infinity], ['after', after, Infinity], ['limit', limit, 100]]) {
    if (value !== undefined && (!Number.isInteger(value) || value < (name === 'limit' ? 1 : 0) || value > most)) invalid(`${name} is out of range`);
  }
  return { before, after, limit: limit ?? 50 };
}

class Room {
  members = new Set();
  removed = new Set();
  messages = [];
  keys = new Map();
}

export class Tenant {
  rooms = new Map();
  users = new Map();

  room(bamId) {
    if (!this.rooms.has(bamId)) this.rooms.set(bamId, new Room());
    return this.rooms.get(bamId);
  }

  isMember(bamId, user) {
    const room = this.room(bamId);
    const id = String(user.id);
    if (room.removed.has(id)) return false;
    return room.members.has(id) || user.bams.map(String).includes(bamId);
  }

  requireMember(bamId, user) {
    if (!this.isMember(bamId, user)) throw new Refusal('NOT_A_MEMBER', 'not a participant of this BAM');
  }

  /** Stores a message, or finds the one that the same `tempId` stored before. */
  send(bamId, user, { content, type = 'text', tempId = null, toUserId = null }) {
    if (typeof content !== 'string' || content.length < 1 || [...content].length > 4000) invalid('content must have 1 to 4000 characters');
    if (!TYPES.includes(type)) invalid('type must be text, image or file');
    if (tempId !== null && (typeof tempId !== 'string' || tempId === '')) invalid('tempId must be text');
    if (toUserId !== null) idOf(toUserId);
    const room = this.room(bamId);
    const key = `${user.id}\n${tempId}`;
    if (tempId !== null && room.keys.has(key)) {
      const known = room.keys.get(key);
      const same = known.content === content && known.type === type && String(known.toUserId ?? '') === String(toUserId ?? '');
      if (!same) throw new Refusal('IDEMPOTENCY_CONFLICT', 'this tempId was used for another message');
      return { message: known, fresh: false };
    }
    const message = {
      id: randomUUID(),
      bamId,
      content,
      type,
      tempId,
      ...(toUserId === null ? {} : { toUserId }),
      seq: room.messages.length + 1,
      createdAt: new Date().toISOString(),
      sender: { id: user.id, name: user.name },
    };
    room.messages.push(message);
    if (tempId !== null) room.keys.set(key, message);
    return { message, fresh: true };
  }

  history(bamId, user, query) {
    const { before, after, limit } = pageOf(query);
    const mine = (message) => message.toUserId === undefined || [message.toUserId, message.sender.id].map(String).includes(String(user.id));
    const fits = (message) => mine(message) && (before === undefined || message.seq < before) && (after === undefined || message.seq > after);
    const all = this.room(bamId).messages.filter(fits);
    const messages = after === undefined ? all.slice(-limit) : all.slice(0, limit);
    return { messages, hasMore: all.length > messages.length };
  }

  lastSeq(bamId) {
    return this.room(bamId).messages.length;
  }

  person(user) {
    const id = String(user.id);
    if (!this.users.has(id)) this.users.set(id, { ...user, status: 'online', lastSeen: null, sockets: new Set(), grace: null });
    return this.users.get(id);
  }

  /** The people who have joined a room, each once. */
  online(bamId) {
    return [...this.users.values()].filter((person) => [...person.sockets].some((socket) => socket.data.joined.has(bamId)) || person.graceRooms?.has(bamId));
  }
}
