//! Holds SPECIFICATIONS.md against the tests that were run: every test that a requirement names is there, and passed.
//!
//! In: the document, and the lines that `names.mjs` wrote. Out: what is wrong, a sentence each. It does not judge whether a test asks for what
//! the requirement says.

import { readFileSync } from 'node:fs';

const PASSES = 'passes';

/** Rows of the tables whose third column names tests: `{clause, names, isReferenceRight}`. */
export function requirements(text) {
  const rows = [];
  for (const line of text.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length !== 6 || !cells[3].startsWith('`')) continue;
    const names = [...cells[3].matchAll(/`([^`]+)`/g)].map((match) => match[1]);
    rows.push({ clause: cells[1], names, isReferenceRight: cells[4].startsWith(PASSES) });
  }
  return rows;
}

/** The tests of a run, from the files that the reporter wrote. */
export function tests(files) {
  return files.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)));
}

/** What is wrong. Against the reference only what it passes is asked for; `…` in a name stands for anything. */
export function complaints(rows, ran, { reference }) {
  const wrong = [];
  if (rows.length === 0) wrong.push('no requirement was found');
  for (const { clause, names, isReferenceRight } of rows) {
    if (reference && !isReferenceRight) continue;
    for (const name of names) {
      const fits = new RegExp(`^${name.split('…').map(escaped).join('.+')}$`);
      const found = ran.filter((test) => fits.test(test.name));
      if (found.length === 0) wrong.push(`${clause}: no test is named "${name}"`);
      for (const test of found) {
        if (!test.passed || test.skipped) wrong.push(`${clause}: "${test.name}" ${test.skipped ? 'was skipped' : 'failed'}`);
      }
    }
  }
  return wrong;
}

function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
