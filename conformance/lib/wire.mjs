//! WebSocket over a bare TCP socket: every header line and every bit of a frame is the test's own.
//!
//! In: an address, the lines of the request, frames. Out: the response head as it came, frames as they came.
//! Nothing is answered by itself, no extension is spoken.

import net from 'node:net';
import { createHash, randomBytes } from 'node:crypto';
import { Inbox, within } from './wait.mjs';

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** The bytes of one frame. `length` overrides the declared length, `key` the random mask; `mask: false` sends it bare. */
export function frame(opcode, payload = '', { fin = true, mask = true, key = randomBytes(4), reserved = 0, length } = {}) {
  const body = Buffer.from(payload);
  const declared = length ?? body.length;
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const bit = mask ? 0x80 : 0;
  if (declared < 126) head.push(bit | declared);
  else if (declared < 65536) head.push(bit | 126, declared >> 8, declared & 255);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(declared));
    head.push(bit | 127, ...long);
  }
  if (!mask) return Buffer.concat([Buffer.from(head), body]);
  const masked = Buffer.from(body.map((byte, at) => byte ^ key[at & 3]));
  return Buffer.concat([Buffer.from(head), key, masked]);
}

/** The usual lines of a handshake; `extra` are header lines. */
export function handshake(path, host, extra = []) {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
    ...extra,
  ];
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A TCP connection that has sent a request and reads what comes back. */
export class Wire {
  /** Opens the connection, `from` an address of this machine, and sends `lines`, with the empty line that ends a head. */
  static async request(url, lines, { from } = {}) {
    const { hostname, port } = new URL(url);
    const wire = new Wire();
    wire.tcp = net.connect({ host: hostname.replace(/[[\]]/g, ''), port: Number(port || 80), localAddress: from });
    wire.bytes = Buffer.alloc(0);
    wire.frames = new Inbox('wire');
    wire.head = new Promise((resolve) => (wire.gotHead = resolve));
    wire.ended = new Promise((resolve) => wire.tcp.on('close', resolve));
    wire.tcp.on('error', () => {});
    wire.tcp.on('data', (chunk) => wire.read(chunk));
    await within(new Promise((resolve) => wire.tcp.on('connect', resolve)), 'the TCP connection opens');
    if (lines.length > 0) wire.tcp.write(`${lines.join('\r\n')}\r\n\r\n`);
    return wire;
  }

  /** Opens a WebSocket; fails when the answer is not 101. */
  static async open(url, path, extra, options) {
    const wire = await Wire.request(url, handshake(path, new URL(url).host, extra), options);
    const head = await within(Promise.race([wire.head, wire.ended]), 'the handshake is answered', options?.ms);
    if (!head) throw new Error('the connection ended before the handshake was answered');
    if (head.status !== 101) throw new Error(`not upgraded: ${head.text}`);
    return wire;
  }

  read(chunk) {
    this.bytes = Buffer.concat([this.bytes, chunk]);
    if (this.gotHead) {
      const end = this.bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      const text = this.bytes.subarray(0, end).toString();
      this.bytes = this.bytes.subarray(end + 4);
      const [first, ...lines] = text.split('\r\n');
      const headers = new Map(lines.map((line) => [line.split(':')[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
      this.status = Number(first.split(' ')[1]);
      this.gotHead({ status: this.status, headers, text });
      this.gotHead = null;
    }
    if (this.status === 101) this.readFrames();
  }

  readFrames() {
    for (;;) {
      if (this.bytes.length < 2) return;
      let length = this.bytes[1] & 127;
      let at = 2;
      if (length === 126) {
        if (this.bytes.length < 4) return;
        length = this.bytes.readUInt16BE(2);
        at = 4;
      } else if (length === 127) {
        if (this.bytes.length < 10) return;
        length = Number(this.bytes.readBigUInt64BE(2));
        at = 10;
      }
      if (this.bytes.length < at + length) return;
      const payload = this.bytes.subarray(at, at + length);
      this.frames.push({ head: at, first: this.bytes[0], fin: this.bytes[0] >= 128, opcode: this.bytes[0] & 15, masked: this.bytes[1] >= 128, payload, text: payload.toString() });
      this.bytes = this.bytes.subarray(at + length);
    }
  }

  send(...frames) {
    this.tcp.write(Buffer.concat(frames));
  }

  text(text) {
    this.send(frame(OP.text, text));
  }

  /** The next frame, Engine.IO heartbeats answered and left out. */
  async next(what = 'a frame') {
    for (;;) {
      const got = await this.frames.next(what);
      if (got.opcode === OP.text && got.text === '2') this.text('3');
      else return got;
    }
  }

  /** The code of the close frame that the server sends, however much comes before it; it is answered, as a peer does. */
  async closeCode(ms) {
    const close = await this.frames.next('a close frame', (got) => got.opcode === OP.close, ms);
    this.send(frame(OP.close, close.payload));
    return close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 1005;
  }

  end() {
    this.tcp.destroy();
  }
}
