//! Waiting with a deadline: for a promise, for a condition, for the next thing of a queue.
//!
//! In: promises, checks, pushed values. Out: the value, or an error that says what did not happen in time.
//! It does not know any protocol, and nothing here waits longer than it must.

export const DEADLINE_MS = 5000;

/** Ends with the promise, or fails with `what` after `ms`. */
export async function within(promise, what, ms = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `check` until it gives something truthy, and gives that; for what can only be asked, not listened to. */
export async function eventually(what, check, ms = DEADLINE_MS) {
  const until = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const value = await check();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until) throw new Error(`not within ${ms} ms: ${what}${last ? ` (${last.message})` : ''}`);
    await pause(15);
  }
}

/** A period that is itself what is tested, or the step between two looks. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What came in, in order; readers wait for the next one that fits. */
export class Inbox {
  constructor(name) {
    this.name = name;
    this.waiting = [];
    this.readers = [];
    this.all = [];
  }

  push(value) {
    this.all.push(value);
    const reader = this.readers.findIndex((r) => r.fits(value));
    if (reader >= 0) this.readers.splice(reader, 1)[0].resolve(value);
    else this.waiting.push(value);
  }

  /** The first value not yet taken that fits; others stay for later readers. */
  next(what = 'anything', fits = () => true, ms = DEADLINE_MS) {
    const at = this.waiting.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.waiting.splice(at, 1)[0]);
    let reader;
    const came = new Promise((resolve) => {
      reader = { fits, resolve };
      this.readers.push(reader);
    });
    return within(came, `${this.name}: ${what}`, ms).catch((error) => {
      this.readers = this.readers.filter((r) => r !== reader);
      throw error;
    });
  }
}
