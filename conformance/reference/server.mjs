//! Starts a reference server: `node server.mjs engine` or `node server.mjs bam`, on PORT (default 3000 or 3001).
//! It prints `listening on PORT` when ready, and ends on SIGTERM.

const [kind] = process.argv.slice(2);
if (kind === 'engine') {
  const { startEngine } = await import('./engine.mjs');
  const port = Number(process.env.PORT ?? 3000);
  await startEngine(port);
  console.log(`listening on ${port}`);
} else if (kind === 'bam') {
  const { startBam } = await import('./bam.mjs');
  const port = Number(process.env.PORT ?? 3001);
  await startBam(port);
  console.log(`listening on ${port}`);
} else {
  console.error('usage: node server.mjs engine|bam');
  process.exit(2);
}
process.on('SIGTERM', () => process.exit(0));
