//! Each kind of hostile input by itself, against a server of its own with the limits that it comes with.

import { after, before, suite, test } from 'node:test';
import { relais } from '../lib/servers.mjs';
import { ROWS } from './rows.mjs';
import { Scene } from './scene.mjs';

let server;
before(async () => {
  server = await relais(process.env.RELAIS_BIN);
});
after(() => server.remove());

// Side by side: some of them wait for seconds, and none may disturb another.
suite('hostile input', { concurrency: 8 }, () => {
  for (const { row, run } of ROWS) {
    test(row, { timeout: 90000 }, async (t) => {
      const scene = new Scene(server);
      t.after(() => scene.end());
      await run(scene);
    });
  }
});
