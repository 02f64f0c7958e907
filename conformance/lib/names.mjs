//! A reporter for node's test runner that writes one line of JSON for each test: its name, whether it passed, whether it was skipped.
//!
//! In: the runner's events. Out: what `specifications.mjs` reads.

export default async function* names(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    yield `${JSON.stringify({ name: data.name, passed: type === 'test:pass', skipped: Boolean(data.skip) })}\n`;
  }
}
