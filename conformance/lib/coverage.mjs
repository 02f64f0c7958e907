//! Holds what the server says of an app against what its tests did: each event sent, refused and heard, each route answered and refused, each
//! in the shape that is documented.
//!
//! In: the file of `witness.mjs` and the lines beside it. Out: what is missing or wrong, a sentence each, and how much there was to see.

import { existsSync, readFileSync } from 'node:fs';
import { declared } from './witness.mjs';

/** `{count, missing}`. */
export function coverage(file) {
  const seen = existsSync(`${file}.seen`) ? readFileSync(`${file}.seen`, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
  const { sent, heard, routes } = declared(JSON.parse(readFileSync(file, 'utf8')));
  const missing = [];
  const ask = (fits, sentence) => seen.some(fits) || missing.push(sentence);
  for (const [name, { payload }] of sent) {
    ask((line) => line.sent === name && line.answer === 'ok', `no test has a success of ${name}`);
    const fields = payload.prefixItems ?? Object.keys(payload.properties ?? {});
    if (fields.length > 0) ask((line) => line.sent === name && line.answer !== 'ok', `no test has a refusal of ${name}`);
  }
  for (const name of heard.keys()) ask((line) => line.heard === name, `no test hears ${name}`);
  for (const { method, path } of routes) {
    const about = (line) => line.called === `${method} ${path}`;
    ask((line) => about(line) && line.status < 300, `no test has a success of ${method} ${path}`);
    ask((line) => about(line) && line.status >= 400, `no test has a refusal of ${method} ${path}`);
  }
  const wrong = new Map(seen.filter((line) => line.wrong).map((line) => [line.wrong, line.such]));
  for (const [sentence, such] of wrong) missing.push(`not as documented: ${sentence}, such as ${such}`);
  return { count: `${sent.size} events sent, ${heard.size} heard, ${routes.length} routes`, missing };
}
