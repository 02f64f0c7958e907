//! Tokens: HS256 by node:crypto, and everything that a token should not be.
//!
//! In: claims and a key. Out: the compact form. Nothing is checked here: a test wants bad ones too.

import { createHmac, timingSafeEqual } from 'node:crypto';

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const mac = (text, secret, hash = 'sha256') => createHmac(hash, secret).update(text).digest('base64url');

export const now = () => Math.floor(Date.now() / 1000);

/** Signs claims; `exp` an hour ahead unless the claims say otherwise (`exp: undefined` leaves it out). */
export function sign(claims, secret, { alg = 'HS256', header = {} } = {}) {
  const text = `${encode({ alg, typ: 'JWT', ...header })}.${encode({ iat: now(), exp: now() + 3600, ...claims })}`;
  if (alg.toLowerCase() === 'none') return `${text}.`;
  return `${text}.${mac(text, secret, alg.replace('HS', 'sha'))}`;
}

/** Claims of a good HS256 token, or the reason why it is not: `TOKEN_MISSING`, `TOKEN_INVALID`, `TOKEN_EXPIRED`. */
export function verify(token, secret) {
  if (!token) return { error: 'TOKEN_MISSING' };
  try {
    const [header, claims, signature] = String(token).split('.');
    const wanted = Buffer.from(mac(`${header}.${claims}`, secret));
    const given = Buffer.from(signature);
    const { alg } = JSON.parse(Buffer.from(header, 'base64url'));
    if (alg !== 'HS256' || wanted.length !== given.length || !timingSafeEqual(wanted, given)) return { error: 'TOKEN_INVALID' };
    const body = JSON.parse(Buffer.from(claims, 'base64url'));
    const times = [body.exp, body.nbf].filter((time) => time !== undefined);
    if (times.some((time) => typeof time !== 'number')) return { error: 'TOKEN_INVALID' };
    if (body.nbf !== undefined && body.nbf > now() + 5) return { error: 'TOKEN_INVALID' };
    if (body.exp !== undefined && body.exp < now() - 5) return { error: 'TOKEN_EXPIRED' };
    return { claims: body };
  } catch {
    return { error: 'TOKEN_INVALID' };
  }
}
