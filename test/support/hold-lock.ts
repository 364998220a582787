import { takeLock } from '../../src/effects/lock.ts';

// holds the lock of a directory from the line "held" on, until standard input ends
const lock = await takeLock(process.argv[2] ?? '', performance.now() + 30_000);
console.log(lock ? 'held' : 'missed');
process.stdin.resume().once('end', async () => {
  await lock?.release();
});
