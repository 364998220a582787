import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { generate } from '../../generators/unit-secrets-generator.ts';
import { textWidth } from '../../src/domain/text-width.ts';
import { paths } from '../../src/unit/paths.ts';
import { binary } from '../build/binary.ts';
import { manifestPath } from '../support/manifests.ts';
import { temporaryTree } from '../support/temporary.ts';
import { onTerminal, type Terminal } from '../support/terminal.ts';

const csi = '\u001b';
const home = `${csi}[H${csi}[J`;
const long = `a-service-with-a-name-${'that-does-not-end-'.repeat(6)}x`;
const reason =
  'op://Homelab/钥匙/密码: no item of that name or id in the vault: 日本語のメッセージ, and more of it';

let program: string;
beforeAll(async () => {
  program = await binary();
});

/** A /run with units, and a systemctl and a journalctl that tell the same of all of them. */
async function machine(names: readonly string[], failed: readonly string[] = []): Promise<string> {
  const services = Object.fromEntries(names.map((name) => [name, { environment: { A: 'x' } }]));
  const show = `#!/bin/sh
while [ "$1" != -- ]; do shift; done; shift
for unit; do
  case " ${failed.map((name) => `${name}-secrets.service`).join(' ')} " in
    *" $unit "*) state=failed result=exit-code ;;
    *) state=active result=success ;;
  esac
  printf 'Id=%s\\nInvocationID=1\\nLoadState=loaded\\nActiveState=%s\\nResult=%s\\nStateChangeTimestampMonotonic=1000000\\n\\n' "$unit" $state $result
done
`;
  const root = temporaryTree({
    [manifestPath]: JSON.stringify({ version: 1, services }),
    '/bin/systemctl': show,
    '/bin/journalctl': `#!/bin/sh\necho '${reason}'\n`,
  });
  for (const name of names) mkdirSync(join(root, paths.secrets, name, '.ok-1'), { recursive: true });
  for (const name of ['systemctl', 'journalctl']) chmodSync(join(root, 'bin', name), 0o755);
  mkdirSync(join(root, paths.generated), { recursive: true });
  await generate(join(root, paths.generated), { root, executable: '/usr/bin/unit-secrets' });
  return root;
}

function status(
  root: string,
  size: { readonly cols: number; readonly rows?: number },
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Terminal {
  // what the program reads is below /run, wherever it is
  const script = `mount --bind ${root}/run /run && PATH=${root}/bin:$PATH exec "$0" status "$@"`;
  return onTerminal(['unshare', '--mount', 'sh', '-c', script, program, ...args], env, size);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal takes for colours
const plain = (text: string): string => text.replace(/\u001b\[[0-9;?]*[a-zA-Z]/g, '');
const linesOf = (text: string): string[] => plain(text).trimEnd().split('\r\n');
const widest = (text: string): number => Math.max(...linesOf(text).map(textWidth));

describe.runIf(process.geteuid?.() === 0)('status on a terminal', () => {
  test.each([40, 60, 80, 200])('of %d columns has no line that wraps', async (cols) => {
    const root = await machine(['app', 'web', long], ['web']);
    for (const args of [[], ['web'], [long]]) {
      const terminal = status(root, { cols }, args);
      await terminal.ended;
      expect(widest(terminal.output())).toBeLessThanOrEqual(cols);
      const whole = plain(terminal.output()).replace(/\s/g, '');
      // nothing is lost by that, and words stay whole
      if (args[0] !== 'web') expect(whole).toContain(long);
      if (args[0] !== long) {
        expect(whole).toContain(reason.replace(/\s/g, ''));
        expect(terminal.output()).toContain('日本語のメッセージ,');
      }
      expect(terminal.output()).toContain(`${csi}[32mactive`);
    }
  });

  test('is a table where there is room for it, with what is wrong beside or below', async () => {
    const root = await machine(['app', 'web'], ['web']);
    const wide = status(root, { cols: 200 });
    await wide.ended;
    expect(linesOf(wide.output())).toEqual([
      'SERVICE  STATE   SECRETS  CONFIG  SINCE',
      expect.stringMatching(/^app {6}active {2}fetched {2}- {7}\d+ \w+$/),
      expect.stringMatching(new RegExp(`^web {6}active {2}failed {3}- {7}\\d+ \\w+ +${reason}$`)),
    ]);
    const narrow = status(root, { cols: 60 });
    await narrow.ended;
    expect(linesOf(narrow.output()).slice(2)).toEqual([
      expect.stringMatching(/^web {6}active {2}failed {3}- {7}\d+ \w+$/),
      '    op://Homelab/钥匙/密码: no item of that name or id in',
      '    the vault: 日本語のメッセージ, and more of it',
    ]);
  });

  test('and a block for each service where there is none', async () => {
    const root = await machine(['cloudflared', 'grafana'], ['grafana']);
    const terminal = status(root, { cols: 36 });
    await terminal.ended;
    expect(linesOf(terminal.output())).toEqual([
      'cloudflared',
      expect.stringMatching(/^ {2}active for \d+ \w+, secrets fetched$/),
      'grafana',
      expect.stringMatching(/^ {2}active for \d+ \w+, secrets failed$/),
      '    op://Homelab/钥匙/密码: no item',
      '    of that name or id in the vault:',
      '    日本語のメッセージ, and more of',
      '    it',
    ]);
  });

  test('to a program is a line for each service, however long', async () => {
    const root = await machine(['app', long], [long]);
    const script = `mount --bind ${root}/run /run && PATH=${root}/bin:$PATH "$0" status | cat`;
    const terminal = onTerminal(['unshare', '--mount', 'sh', '-c', script, program], {}, { cols: 1000 });
    await terminal.ended;
    expect(linesOf(terminal.output())).toHaveLength(3);
  });
});

describe.runIf(process.geteuid?.() === 0)('status --watch', () => {
  const names = Array.from({ length: 30 }, (_, index) => `s${String(index).padStart(2, '0')}`);
  /** The last drawing that is complete. */
  const drawn = (terminal: Terminal): string[] => linesOf(terminal.output().split(home).at(-2) ?? '');

  test('draws no more than the screen has, says what is not shown, and follows its size', async () => {
    const root = await machine(names, ['s25', 's28']);
    const terminal = status(root, { cols: 80, rows: 10 }, ['--watch']);
    await terminal.waitFor(/(?:more, 2 with[\s\S]*){2}/);
    expect(drawn(terminal)).toHaveLength(9);
    expect(drawn(terminal).at(-1)).toBe('… 23 more, 2 with something wrong');
    terminal.resize(40, 12);
    await terminal.waitFor(/(?:… 21 more, 2 with something wrong\r\n[\s\S]*){2}/);
    expect(drawn(terminal)).toHaveLength(11);
    expect(Math.max(...drawn(terminal).map(textWidth))).toBeLessThanOrEqual(40);
    terminal.resize(200, 60);
    await terminal.waitFor(/s29[\s\S]*s29/);
    expect(drawn(terminal)).toHaveLength(31);
    terminal.type('\u0003');
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
    expect(terminal.output().trimEnd().endsWith(`${csi}[?25h`)).toBe(true);
  });

  test('of one service, too', async () => {
    const root = await machine(['app'], ['app']);
    const terminal = status(root, { cols: 40, rows: 6 }, ['--watch', 'app']);
    await terminal.waitFor(/(?:\d+ more[\s\S]*){2}/);
    expect(drawn(terminal)).toHaveLength(5);
    terminal.type('\u0003');
    expect(await terminal.ended).toEqual({ exitCode: 0, signal: 0 });
  });

  test('is wrong usage on a terminal that cannot be drawn on', async () => {
    const terminal = onTerminal([program, 'status', '--watch'], { TERM: 'dumb' });
    expect(await terminal.ended).toEqual({ exitCode: 64, signal: 0 });
    expect(terminal.output()).not.toContain(csi);
  });
});
