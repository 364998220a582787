import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { binary } from './binary.ts';

let program: string;
beforeAll(async () => {
  program = await binary();
});

/** A machine with services. */
function machine(count = 100): { readonly root: string; readonly manifest: string } {
  const root = temporaryDirectory();
  const manifest = join(root, 'etc/unit-secrets/manifest.json');
  mkdirSync(join(manifest, '..'), { recursive: true });
  const services = Array.from({ length: count }, (_, index) => [
    `service-${index}`,
    { environment: { TOKEN: `op://v/i${index}/f` } },
  ]);
  writeFileSync(manifest, JSON.stringify({ version: 1, services: Object.fromEntries(services) }));
  return { root, manifest };
}

/** The engine tells of each function that it compiles to machine code. */
async function compiled(root: string, ...args: readonly string[]): Promise<boolean> {
  const { stdout, stderr } = await run(['sh', '-c', '"$@" || [ $? = 1 ]', 'sh', program, ...args], {
    env: { PATH: '/usr/bin:/bin', UNIT_SECRETS_ROOT: root, BUN_JSC_reportCompileTimes: '1' },
    timeoutMs: 30_000,
  });
  return `${stdout}${stderr}`.includes('using Baseline');
}

test('the generator ends before machine code would pay', async () => {
  const { root } = machine();
  const units = join(root, 'units');
  expect(await compiled(root, units)).toBe(false);
  expect(readdirSync(units).length).toBeGreaterThan(300);
});

test('everything else is compiled to machine code where it runs for long', async () => {
  const { root, manifest } = machine(1000);
  expect(await compiled(root, 'check', manifest)).toBe(true);
});
