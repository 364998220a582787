import { HostLock } from '../../src/effects/lock.ts';

// holds the lock of a directory from the line "held" on, until standard input ends
const lock = await new HostLock(process.argv[2] ?? '').tryTake();
console.log(lock ? 'held' : 'missed');
process.stdin.resume().once('end', async () => {
  await lock?.release();
});
