//! What a process holds, as the kernel counts it. In: a process id. Out: bytes.

import { readFileSync } from 'node:fs';
import { pause } from './wait.mjs';

/** Resident memory. */
export function resident(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(status.match(/^VmRSS:\s+(\d+) kB$/m)[1]) * 1024;
}

/** The level at which it stays: the median of looks over a period. */
export async function level(pid, { looks = 10, every = 200 } = {}) {
  const seen = [];
  for (let n = 0; n < looks; n += 1) {
    seen.push(resident(pid));
    await pause(every);
  }
  return seen.sort((a, b) => a - b)[Math.floor(looks / 2)];
}

export const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
