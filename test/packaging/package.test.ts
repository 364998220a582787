import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../container/run.ts';
import { repository } from './packages.ts';

test.each([
  [['--arch', 'mips'], {}, '--arch must be one of x64, arm64, not mips'],
  [['--format', 'zip'], {}, '--format must be one of deb, rpm, npm, not zip'],
  [['--unknown'], {}, "Unknown option '--unknown'"],
  [[], { SOURCE_DATE_EPOCH: 'today' }, "SOURCE_DATE_EPOCH must be seconds since 1970, not 'today'"],
])('with %j and %j no packages are made', async (args, env, message) => {
  const result = await run([process.execPath, join(repository, 'scripts/package.ts'), ...args], {
    check: false,
    env: { ...process.env, ...env },
  });
  expect(result).toMatchObject({ code: 1, stdout: '' });
  expect(result.stderr).toMatch(/^package: .*\n$/);
  expect(result.stderr).toContain(message);
});
