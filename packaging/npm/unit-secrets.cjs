#!/usr/bin/env node
// Starts the executable for this machine, which npm installed beside this package.
'use strict';

const { spawnSync } = require('node:child_process');

const name = `unit-secrets-linux-${process.arch}`;
let executable;
try {
  executable = require.resolve(`${name}/bin/unit-secrets`);
} catch {
  console.error(
    `unit-secrets: ${name} is not installed (Linux with glibc on x64 or arm64; npm must not leave out optional packages)`,
  );
  process.exit(69);
}

// signals of the terminal reach the executable by themselves: wait for what it makes of them
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
const { status, signal, error } = spawnSync(executable, process.argv.slice(2), { stdio: 'inherit' });
if (error !== undefined) {
  console.error(`unit-secrets: cannot start ${executable}: ${error.message}`);
  process.exit(70);
}
if (signal !== null) {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
process.exitCode = status ?? 70;
