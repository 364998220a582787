/** Runs the emulator until it is stopped: `node main.ts --data FILE`, see README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startEmulator } from './server.ts';
import { type Account, newAccount } from './token.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    data: { type: 'string' },
    'token-file': { type: 'string' },
    log: { type: 'string' },
    account: { type: 'string' },
  },
});

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Never replaces a file, as it might be somebody's real token. */
function writeSecret(path: string, text: string): void {
  if (readIfThere(path) === text) return;
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
}

function accountIn(path: string): Account {
  const known = readIfThere(path);
  if (known !== undefined) return JSON.parse(known) as Account;
  const account = newAccount();
  writeSecret(path, JSON.stringify(account));
  return account;
}

const emulator = await startEmulator({
  data: values.data === undefined ? { vaults: {} } : JSON.parse(readFileSync(values.data, 'utf8')),
  port: Number(values.port),
  ...(values.account === undefined ? {} : { account: accountIn(values.account) }),
  ...(values.log === undefined ? {} : { log: values.log }),
});
if (values['token-file'] !== undefined) writeSecret(values['token-file'], emulator.token);
process.stdout.write(`listening on ${emulator.origin}\n`);
