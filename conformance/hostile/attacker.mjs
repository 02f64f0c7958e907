//! All hostile input at once, as a program of its own: a test that wants to see how others fare must not be busy with the attack itself.
//!
//! In (as messages): `{ server, seconds, readers }`. Out: `peak` when everything that holds memory holds it, then `{ rows, secrets }`:
//! for each kind of input how often it was thrown and what went wrong, and every secret that the server was told.

import { randomUUID } from 'node:crypto';
import { OP, frame } from '../lib/wire.mjs';
import { eventually, pause } from '../lib/wait.mjs';
import { ROWS } from './rows.mjs';
import { PATIENCE_MS, POLL, Scene } from './scene.mjs';

/** Wires and bodies that are begun and never ended, of each kind. */
const UNFINISHED = 60;
/** Wires that are opened side by side. */
const OPENING = 40;
/** One in so many of the readers is in the flooded room: the others fill nothing but their place. */
const FLOODED_ONE_IN = 10;
/** Enough to be over both kernel buffers, which grow to 4 MiB and more, and the outbox. */
const FLOOD_MESSAGES = 500;
const FLOOD_CONTENT = '😀'.repeat(3900);

process.on('message', async (order) => {
  const result = await attack(order).catch((error) => ({ failed: String(error.stack) }));
  process.send(result, () => process.disconnect());
});

async function attack({ server, seconds, readers }) {
  const scenes = [];
  const scene = () => {
    const one = new Scene({ ...server, tenant: 'attacker' });
    scenes.push(one);
    return one;
  };
  const rows = {};
  const room = `flood-${randomUUID()}`;
  const holder = scene();
  const wires = await flooded(holder, room, readers);
  const until = Date.now() + seconds * 1000;
  const [holding, ...thrown] = await Promise.all([hold(holder, room, wires), ...ROWS.map((row) => throwAgain(row, scene, until, rows))]);
  rows['readers that never read, messages and bodies that never end, all back at once'] = holding;
  scenes.forEach((one) => one.end());
  await Promise.all(thrown);
  return { rows, secrets: scenes.flatMap((one) => [...one.secret]) };
}

/** One kind of input, again and again until the time is over; once at least. */
async function throwAgain({ row, run }, scene, until, rows) {
  const count = { thrown: 0, wrong: [] };
  rows[row] = count;
  do {
    const own = scene();
    count.thrown += 1;
    await run(own).catch((error) => count.wrong.push(error.message.slice(0, 300)));
    own.end();
    await pause(20);
  } while (Date.now() < until);
}

/** What costs memory: readers that never read a flooded room, messages and bodies that never end, and all of the readers back at once. */
async function hold(scene, room, wires) {
  for (let n = 0; n < UNFINISHED; n += 1) {
    const wire = await scene.engine();
    wire.send(frame(OP.text, `4${'x'.repeat(900000)}`, { fin: false }));
    const post = await scene.tcp([`POST ${await scene.polling()} HTTP/1.1`, `Host: ${scene.host}`, 'Content-Type: text/plain', 'Content-Length: 1000000']);
    post.tcp.write('x'.repeat(900000));
    const head = await scene.tcp();
    head.tcp.write(`GET ${POLL} HTTP/1.1\r\nHost: x\r\nX-Unfinished: ${'x'.repeat(8000)}`);
  }
  const speaker = await scene.session({ sub: 'speaker', bams: [room] });
  await scene.ask(speaker.wire, 'join-bam', room);
  const before = await slow(scene);
  let said = 0;
  while (said < FLOOD_MESSAGES) {
    const answer = await scene.ask(speaker.wire, 'send-message', { bamId: room, content: FLOOD_CONTENT });
    if (answer.success) said += 1;
    else await pause(answer.error.retryAfterMs ?? 100);
  }
  process.send({ peak: true, said });
  // Acks come before deliveries: a busy machine has to be given the time to give up those that do not read.
  const flooded = Math.floor(wires.length / FLOODED_ONE_IN);
  await eventually('those who never read are given up', async () => (await slow(scene)) - before >= flooded, PATIENCE_MS).catch(() => {});
  // They do not read, so they cannot see how they were ended: those that are let go by their server now were.
  wires.forEach((wire) => wire.end());
  const back = await opened(scene, wires.length);
  back.forEach((wire) => wire.end());
  return { thrown: wires.length + back.length, wrong: [] };
}

/** How many readers the server has given up so far. */
async function slow(scene) {
  const { body } = await scene.request('GET', '/metrics', { headers: { accept: 'text/plain' } });
  return Number(body.match(/^relais_slow_consumers_total (\d+)$/m)[1]);
}

/** Sessions in one room that stop reading. */
async function flooded(scene, room, count) {
  const wires = await opened(scene, count, async (wire, n) => {
    const own = n % FLOODED_ONE_IN === 0 ? room : `quiet-${n % FLOODED_ONE_IN}-${room}`;
    const token = scene.token({ bams: [own] });
    await scene.connect(wire, { token });
    await scene.ask(wire, 'join-bam', own);
    wire.tcp.pause();
  });
  return wires;
}

async function opened(scene, count, then = async () => {}) {
  const wires = [];
  const worker = async () => {
    while (wires.length < count) {
      const wire = await scene.engine();
      await then(wire, wires.push(wire));
    }
  };
  await Promise.all(Array.from({ length: OPENING }, worker));
  return wires;
}
