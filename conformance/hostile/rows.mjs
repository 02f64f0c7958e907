//! Every kind of hostile input, with what must happen: one test each in `rows.test.mjs`, all together in `soak.test.mjs`.

import { IDENTITY_ROWS } from './identity.rows.mjs';
import { PLAIN_ROWS } from './plain.rows.mjs';
import { SOCKETIO_ROWS } from './socketio.rows.mjs';
import { WIRE_ROWS } from './wire.rows.mjs';

export const ROWS = [...WIRE_ROWS, ...SOCKETIO_ROWS, ...IDENTITY_ROWS, ...PLAIN_ROWS];
