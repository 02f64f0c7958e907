//! The HTTP routes of the hand-written `bam` server.
//!
//! In: requests that Socket.IO does not take, and the state of `bam.mjs`. Out: JSON, errors as `application/problem+json`.

import { verify } from '../lib/token.mjs';
import { identify, someone } from './bam.mjs';
import { Refusal, STATUS_OF, idOf } from './bam-rooms.mjs';

const ROUTES = [
  ['GET', /^\/healthz$/, () => ({ status: 'ok' })],
  ['GET', /^\/websocket\/stats$/, stats],
  ['GET', /^\/websocket\/presence\/([^/]+)$/, presence],
  ['GET', /^\/websocket\/bam\/([^/]+)\/online$/, online],
  ['POST', /^\/websocket\/notify$/, notify],
  ['POST', /^\/websocket\/broadcast$/, broadcast],
  ['POST', /^\/websocket\/bam\/([^/]+)\/emit$/, emit],
  ['POST', /^\/bams\/([^/]+)\/messages$/, send],
  ['GET', /^\/bams\/([^/]+)\/messages$/, history],
  ['GET', /^\/bams\/([^/]+)\/participants$/, participants],
  ['PUT', /^\/bams\/([^/]+)\/participants\/([^/]+)$/, addParticipant],
  ['DELETE', /^\/bams\/([^/]+)\/participants\/([^/]+)$/, removeParticipant],
];

/** Who asks: the team's own backend by its key, or a user by a token. */
function caller({ request, url, settings }) {
  const token = request.headers.authorization?.replace(/^Bearer /, '') ?? url.searchParams.get('token');
  if (token === settings.key) return { key: true, tenant: 'default' };
  const { claims, error } = verify(token, settings.secret);
  if (error) throw new Refusal(error, 'not identified');
  return { user: identify(claims), tenant: claims.tenant ?? 'default' };
}

function requireKey(context) {
  const who = caller(context);
  if (!who.key) throw new Refusal('FORBIDDEN', 'only with an API key');
  return who;
}

function requireUser(context, bamId) {
  const who = caller(context);
  if (!who.user) throw new Refusal('FORBIDDEN', 'only for a user');
  context.bam.tenant(who.tenant).requireMember(bamId, who.user);
  return who.user;
}

function stats(context) {
  const who = caller(context);
  if (!who.key && who.user.role !== 'admin') throw new Refusal('FORBIDDEN', 'only for administrators');
  const { bam } = context;
  const tenant = bam.tenant(who.tenant);
  const people = [...tenant.users.values()].filter((person) => person.sockets.size > 0);
  return {
    activeConnections: people.reduce((sum, person) => sum + person.sockets.size, 0),
    totalConnections: bam.io.engine.clientsCount,
    connectedUsers: people.length,
    rooms: tenant.rooms.size,
    messagesPerMinute: bam.sent.filter((at) => at > Date.now() - 60000).length,
    uptimeSeconds: Math.floor((Date.now() - bam.started) / 1000),
  };
}

function presence(context, userId) {
  const who = caller(context);
  const person = context.bam.tenant(who.tenant).users.get(userId);
  const isOnline = Boolean(person && (person.sockets.size > 0 || person.grace));
  return { userId: person?.id ?? userId, online: isOnline, status: isOnline ? person.status : 'offline', lastSeen: person?.lastSeen ?? null };
}

function online(context, bamId) {
  const who = caller(context);
  const tenant = context.bam.tenant(who.tenant);
  if (!who.key) tenant.requireMember(bamId, who.user);
  const users = tenant.online(bamId).map(someone);
  return { bamId, users, count: users.length };
}

const sessionsIn = async (target) => (await target.fetchSockets()).length;

function relayed({ event, data, volatile }, fallback) {
  const name = event ?? fallback;
  if (typeof name !== 'string' || name === '' || name.length > 255 || data === undefined) throw new Refusal('INVALID_PAYLOAD', 'event and data are needed');
  return { name, data, volatile: volatile === true };
}

async function notify(context) {
  const { tenant } = requireKey(context);
  const { name, data, volatile } = relayed(context.body, 'notification');
  const target = context.bam.to(tenant, 'user', idOf(context.body.userId));
  const delivered = await sessionsIn(target);
  (volatile ? target.volatile : target).emit(name, data);
  return { delivered, online: delivered > 0 };
}

async function broadcast(context) {
  requireKey(context);
  const { name, data, volatile } = relayed(context.body);
  const { io } = context.bam;
  (volatile ? io.volatile : io).emit(name, data);
  return { recipients: await sessionsIn(io) };
}

async function emit(context, bamId) {
  const { tenant } = requireKey(context);
  const { name, data, volatile } = relayed(context.body);
  const target = context.bam.to(tenant, 'bam', bamId);
  (volatile ? target.volatile : target).emit(name, data);
  return { recipients: await sessionsIn(target) };
}

function send(context, bamId) {
  const user = requireUser(context, bamId);
  const { text, toUserId, tempId } = context.body;
  context.status = 201;
  return context.bam.send(user, bamId, { content: text, toUserId, tempId });
}

function history(context, bamId) {
  const user = requireUser(context, bamId);
  const query = Object.fromEntries([...context.url.searchParams].filter(([name]) => name !== 'token').map(([name, value]) => [name, Number(value)]));
  return context.bam.tenant(user.tenant).history(bamId, user, query);
}

function participants(context, bamId) {
  const { tenant } = requireKey(context);
  return { bamId, participants: [...context.bam.tenant(tenant).room(bamId).members].map((userId) => ({ userId, addedAt: new Date().toISOString() })) };
}

function addParticipant(context, bamId, userId) {
  const { tenant } = requireKey(context);
  const room = context.bam.tenant(tenant).room(bamId);
  room.members.add(userId);
  room.removed.delete(userId);
  return { bamId, userId };
}

function removeParticipant(context, bamId, userId) {
  const { tenant } = requireKey(context);
  const room = context.bam.tenant(tenant).room(bamId);
  room.members.delete(userId);
  room.removed.add(userId);
  for (const socket of context.bam.tenant(tenant).users.get(userId)?.sockets ?? []) {
    if (socket.data.joined.has(bamId)) context.bam.leave(socket, bamId);
  }
  return { bamId, userId };
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (text === '') return {};
  try {
    const body = JSON.parse(text);
    if (body === null || typeof body !== 'object' || Array.isArray(body)) throw new Error('no object');
    return body;
  } catch {
    throw new Refusal('INVALID_PAYLOAD', 'the body must be a JSON object');
  }
}

function allow(request, response, origins) {
  const { origin } = request.headers;
  if (!origins.includes(origin)) return;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('vary', 'Origin');
  response.setHeader('access-control-allow-credentials', 'true');
  response.setHeader('access-control-allow-headers', 'authorization, content-type');
  response.setHeader('access-control-allow-methods', 'GET, POST, PUT, DELETE');
}

async function answer(bam, settings, request, response) {
  const url = new URL(request.url, 'http://localhost');
  for (const [method, pattern, route] of ROUTES) {
    const match = method === request.method && pattern.exec(url.pathname);
    if (!match) continue;
    const context = { bam, settings, request, url, status: 200, body: await bodyOf(request) };
    const body = await route(context, ...match.slice(1).map(decodeURIComponent));
    return [context.status, 'application/json', body];
  }
  throw new Refusal('NOT_FOUND', 'no such route');
}

export function handler(bam, settings) {
  return async (request, response) => {
    if (request.url.startsWith('/socket.io/')) return;
    allow(request, response, settings.origins);
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    let reply;
    try {
      reply = await answer(bam, settings, request, response);
    } catch (error) {
      const code = error instanceof Refusal ? error.code : 'INTERNAL';
      const status = STATUS_OF[code] ?? 500;
      reply = [status, 'application/problem+json', { type: 'about:blank', title: code, status, detail: error.message, code, retryable: false }];
    }
    const [status, type, body] = reply;
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(JSON.stringify(body));
  };
}
