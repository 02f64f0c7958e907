//! RFC 6455 section 4: the opening handshake, line by line, as it is accepted and as it is refused.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL } from '../lib/engine.mjs';
import { ACCEPT, KEY, OP, Wire, frame, handshake } from '../lib/wire.mjs';
import { within } from '../lib/wait.mjs';

const HOST = new URL(ENGINE_URL).host;
const LINES = handshake('/__echo', HOST);

/** The head with which the server answers these lines. */
async function answer(lines) {
  const wire = await Wire.request(ENGINE_URL, lines);
  const head = await within(wire.head, 'the handshake is answered');
  return { wire, head };
}

/** The usual handshake without one header, and with others instead. */
const without = (name, ...instead) => [...LINES.filter((line) => !line.startsWith(`${name}:`)), ...instead];

async function assertEchoes(wire) {
  wire.send(frame(OP.text, 'hello'));
  assert.equal((await wire.next()).text, 'hello');
  wire.end();
}

test('the answer is 101 with upgrade, connection and the proof, and chooses nothing that was not offered', async () => {
  const { wire, head } = await answer(LINES);
  assert.match(head.text, /^HTTP\/1\.1 101 /);
  assert.equal(head.headers.get('upgrade').toLowerCase(), 'websocket');
  assert.equal(head.headers.get('connection').toLowerCase(), 'upgrade');
  assert.equal(head.headers.get('sec-websocket-accept'), ACCEPT);
  assert.equal(head.headers.has('sec-websocket-protocol'), false);
  assert.equal(head.headers.has('sec-websocket-extensions'), false);
  await assertEchoes(wire);
});

for (const [what, lines] of [
  ['in any order', [LINES[0], ...LINES.slice(1).reverse()]],
  ['with names in any case', LINES.map((line, n) => (n === 0 ? line : line.replace(/^[^:]+/, (name) => name.toUpperCase())))],
  ['with values of Upgrade and Connection in any case', without('Upgrade', 'Upgrade: WebSocket').map((line) => line.replace('Connection: Upgrade', 'Connection: uPGRADE'))],
  ['with more than one token in Connection', without('Connection', 'Connection: keep-alive, Upgrade')],
  ['without spaces after the colons', LINES.map((line, n) => (n === 0 ? line : line.replace(': ', ':')))],
  ['with headers that nobody knows', [...LINES, 'X-Colour: blue', 'Cookie: a=b']],
  ['without an origin, as programs send it', LINES],
]) {
  test(`a handshake ${what} is accepted`, async () => {
    const { wire, head } = await answer(lines);
    assert.equal(head.status, 101, head.text);
    assert.equal(head.headers.get('sec-websocket-accept'), ACCEPT);
    await assertEchoes(wire);
  });
}

for (const [what, lines] of [
  ['without Upgrade', without('Upgrade')],
  ['that upgrades to something else', without('Upgrade', 'Upgrade: h2c')],
  ['without Connection', without('Connection')],
  ['without a key', without('Sec-WebSocket-Key')],
  ['with an empty key', without('Sec-WebSocket-Key', 'Sec-WebSocket-Key:')],
  ['with a key of 15 bytes', without('Sec-WebSocket-Key', `Sec-WebSocket-Key: ${Buffer.alloc(15).toString('base64')}`)],
  ['with a key of 17 bytes', without('Sec-WebSocket-Key', `Sec-WebSocket-Key: ${Buffer.alloc(17).toString('base64')}`)],
  ['with a key that is no base64', without('Sec-WebSocket-Key', 'Sec-WebSocket-Key: ?hlIHNhbXBsZSBub25jZQ==')],
  ['with two keys', [...LINES, `Sec-WebSocket-Key: ${KEY}`]],
  ['without a version', without('Sec-WebSocket-Version')],
  ['by POST', [LINES[0].replace('GET', 'POST'), ...LINES.slice(1), 'Content-Length: 0']],
]) {
  test(`a handshake ${what} is refused`, async () => {
    const { wire, head } = await answer(lines);
    assert.ok(head.status >= 400 && head.status < 500, head.text);
    wire.end();
  });
}

for (const version of ['7', '14', 'thirteen']) {
  test(`a handshake of version ${version} is refused, and the answer says which version would do`, async () => {
    const { wire, head } = await answer(without('Sec-WebSocket-Version', `Sec-WebSocket-Version: ${version}`));
    assert.ok([400, 426].includes(head.status), head.text);
    const versions = head.headers.get('sec-websocket-version') ?? '';
    assert.ok(versions.split(',').some((offered) => offered.trim() === '13'), head.text);
    wire.end();
  });
}

test('bytes that come in one piece with the handshake are the first frames', async () => {
  const wire = await Wire.request(ENGINE_URL, []);
  wire.tcp.write(Buffer.concat([Buffer.from(`${LINES.join('\r\n')}\r\n\r\n`), frame(OP.text, 'at once')]));
  assert.equal((await within(wire.head, 'the handshake is answered')).status, 101);
  assert.equal((await wire.next()).text, 'at once');
  wire.end();
});
