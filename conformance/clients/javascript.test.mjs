//! Stock JavaScript clients, newest and oldest of version 4, over each way of transport, against the protocol-level server.

import test from 'node:test';
import assert from 'node:assert/strict';
import { ENGINE_URL, MAX_PAYLOAD, PING_INTERVAL_MS, PING_TIMEOUT_MS, SLACK_MS } from '../lib/engine.mjs';
import { LIBRARIES, WAYS, ask, connect, connected, own, start } from '../lib/stock.mjs';
import { Proxy, cutUntilGone } from '../lib/proxy.mjs';
import { eventually, pause } from '../lib/wait.mjs';

for (const [version, library] of Object.entries(LIBRARIES)) {
  for (const [way, transports] of Object.entries(WAYS)) {
    const options = { library, ...transports };
    const named = (sentence) => `${version}, ${way}: ${sentence}`;
    const open = async (more) => connect(ENGINE_URL, { ...options, ...more });
    const last = transports.transports.at(-1);
    // A link that is only a probe, or not open yet, does not carry the session.
    const settled = (socket, proxy) =>
      eventually(`the session is carried by ${last}`, () => socket.io.engine.transport.name === last && proxy.open > 0);

    test(named('connects, and its auth payload arrives whole'), async () => {
      const { socket, next } = await open({ auth: { token: '123', deep: { list: [1, null] } } });
      assert.deepEqual(await next('auth'), [{ token: '123', deep: { list: [1, null] } }]);
      assert.equal(typeof socket.id, 'string');
      socket.close();
    });

    test(named('uses the transport that it was told to use'), async () => {
      const { socket } = await open();
      await eventually(`the transport is ${last}`, () => socket.io.engine.transport.name === last);
      assert.deepEqual(await ask(socket, 'message-with-ack', 'after'), ['after']);
      socket.close();
    });

    test(named('events come back with the same arguments, in their order'), async () => {
      const { socket, next } = await open();
      for (let n = 0; n < 50; n += 1) socket.emit('message', n, `text ${n} é😀`, { n: [n, null, true] });
      for (let n = 0; n < 50; n += 1) assert.deepEqual(await next('message-back'), [n, `text ${n} é😀`, { n: [n, null, true] }]);
      socket.close();
    });

    test(named('bytes come back as the same bytes'), async () => {
      const { socket, next } = await open();
      socket.emit('message', Buffer.from([1, 2, 3]), { inside: [new Uint8Array([4, 5])] }, Buffer.alloc(0));
      const [first, second, third] = await next('message-back');
      assert.deepEqual([...first], [1, 2, 3]);
      assert.deepEqual([...second.inside[0]], [4, 5]);
      assert.equal(third.length, 0);
      socket.close();
    });

    test(named('acks bring the arguments back, text and bytes'), async () => {
      const { socket } = await open();
      assert.deepEqual(await ask(socket, 'message-with-ack', 1, '2', { 3: [false] }), [1, '2', { 3: [false] }]);
      const [bytes] = await ask(socket, 'message-with-ack', Buffer.from([9, 8, 7]));
      assert.deepEqual([...bytes], [9, 8, 7]);
      assert.deepEqual(await ask(socket, 'message-with-ack'), []);
      socket.close();
    });

    test(named('two namespaces share one connection'), async () => {
      const { socket } = await open({ forceNew: true });
      const custom = socket.io.socket('/custom', { auth: { of: 'custom' } });
      const [auth] = await own(custom, 'auth');
      assert.deepEqual(auth, { of: 'custom' });
      assert.equal(custom.io.engine, socket.io.engine);
      custom.disconnect();
      assert.deepEqual(await ask(socket, 'message-with-ack', 'still here'), ['still here']);
      socket.close();
    });

    test(named('a namespace that does not exist is refused by name'), async () => {
      const { socket } = start(`${ENGINE_URL}/nowhere`, options);
      const [error] = await own(socket, 'connect_error');
      assert.equal(error.message, 'Invalid namespace');
      socket.close();
    });

    test(named('a message near the limit comes back whole'), async () => {
      const { socket } = await open();
      const text = 'x'.repeat(MAX_PAYLOAD - 200);
      assert.deepEqual(await ask(socket, 'message-with-ack', text), [text]);
      socket.close();
    });

    test(named('a message over the limit ends the connection, and the client comes back'), async () => {
      const { socket } = await open();
      const gone = own(socket, 'disconnect');
      socket.emit('message', 'x'.repeat(MAX_PAYLOAD + 1));
      await gone;
      await connected(socket);
      assert.deepEqual(await ask(socket, 'message-with-ack', 'back'), ['back']);
      socket.close();
    });

    test(named('an idle connection lives over many heartbeats'), async () => {
      const { socket } = await open();
      let ended = null;
      socket.on('disconnect', (reason) => (ended = reason));
      await pause(4 * (PING_INTERVAL_MS + PING_TIMEOUT_MS));
      assert.equal(ended, null);
      assert.deepEqual(await ask(socket, 'message-with-ack', 'alive'), ['alive']);
      socket.close();
    });

    test(named('comes back by itself after the link was cut'), async () => {
      const proxy = await Proxy.to(ENGINE_URL);
      const { socket } = await connect(proxy.url, options);
      await settled(socket, proxy);
      const first = socket.id;
      await cutUntilGone(proxy, socket);
      await connected(socket);
      assert.notEqual(socket.id, first, 'a fresh session: this server keeps none');
      assert.deepEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
      socket.close();
      await proxy.close();
    });

    test(named('notices a link that has gone silent, and comes back when it is whole'), async () => {
      const proxy = await Proxy.to(ENGINE_URL);
      const { socket } = await connect(proxy.url, options);
      await settled(socket, proxy);
      const gone = own(socket, 'disconnect', PING_INTERVAL_MS + PING_TIMEOUT_MS + 3 * SLACK_MS);
      proxy.stall();
      await gone;
      proxy.cut();
      proxy.resume();
      await connected(socket);
      assert.deepEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
      socket.close();
      await proxy.close();
    });

    test(named('closes cleanly, and can be opened again'), async () => {
      const { socket } = await open();
      socket.disconnect();
      assert.equal(socket.connected, false);
      socket.connect();
      await connected(socket);
      assert.deepEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
      socket.close();
    });
  }

  test(`${version}: messages sent while the transport is being upgraded are neither lost nor doubled`, async () => {
    const { socket, next } = await connect(ENGINE_URL, { library, transports: ['polling', 'websocket'] });
    const total = 300;
    for (let n = 0; n < total; n += 1) {
      socket.emit('message', n);
      if (n % 10 === 0) await new Promise(setImmediate);
    }
    for (let n = 0; n < total; n += 1) assert.deepEqual(await next('message-back'), [n]);
    socket.close();
  });
}
