/** `systemd-analyze verify` of generated units, many at a time: the real judge, which is too slow for all. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { binary } from '../build/binary.ts';
import { Container } from '../container/container.ts';
import type { Suite } from '../container/rootfs.ts';
import type { Output } from './manifests.ts';

const renewal = 'unit-secrets-renew@';

/** A tree of units that systemd would load, of several runs of the generator. */
export class UnitSample {
  readonly #units = new Map<string, Buffer>();
  readonly #services = new Set<string>();
  readonly #most: number;

  /** @param most how many services */
  constructor(most: number) {
    this.#most = most;
  }

  get services(): number {
    return this.#services.size;
  }

  get units(): number {
    return this.#units.size;
  }

  /** Adds what a run wrote, but for what another one wrote differently. */
  add(output: Output): void {
    for (const [path, content] of output) {
      const service = /^(.*\.service)\.d\//.exec(path)?.[1];
      // on verify's command line what follows a colon is another name
      if (service === undefined || service.includes(':') || this.#services.size >= this.#most) continue;
      if (this.#services.has(service)) continue;
      this.#services.add(service);
      this.#units.set(path, content);
      const at = service.search(/@|\.service$/);
      for (const [suffix, type] of [
        ['secrets', 'service'],
        ['config', 'service'],
        ['retry', 'timer'],
      ] as const) {
        const name = `${service.slice(0, at)}-${suffix}${service.slice(at).replace(/\.service$/, '')}.${type}`;
        const unit = output.get(name);
        if (unit && !this.#units.has(name)) this.#units.set(name, unit);
      }
    }
    for (const [path, content] of output)
      if (
        /^(?:unit-secrets-|run-unit|ssh-key-setup)/.test(path) &&
        // of services that are in the sample
        (!path.startsWith(renewal) || this.#services.has(path.slice(renewal.length))) &&
        !path.includes('/') &&
        !this.#units.has(path) &&
        !path.includes(':')
      )
        this.#units.set(path, content);
  }

  /** What verify says of them, line by line; nothing, if all is well. */
  async verify(suite: Suite): Promise<readonly string[]> {
    const directory = mkdtempSync(join(tmpdir(), 'unit-secrets-verify-'));
    try {
      for (const [path, content] of this.#units) {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), content);
      }
      for (const service of this.#services) {
        // a template's instances have its file
        const file = service.replace(/@.*\.service$/, '@.service');
        writeFileSync(join(directory, file), '[Service]\nExecStart=/bin/true\n');
      }
      const units = [...this.#units.keys()]
        .filter((path) => !path.includes('/'))
        .concat([...this.#services].filter((name) => !name.endsWith('@.service')));
      const archive = execFileSync('tar', ['-C', directory, '-c', '.'], { maxBuffer: 1 << 30 });
      await using machine = await Container.create({
        suite,
        files: { [await binary()]: { content: '#!/bin/sh\n', mode: 0o755 } },
      });
      await machine.exec(['sh', '-c', 'mkdir /tmp/units && tar -C /tmp/units -x'], { input: archive });
      await machine.writeFile('/tmp/names', units.join('\n'));
      const { stdout, stderr } = await machine.exec(
        `xargs -d '\\n' -n 400 env SYSTEMD_UNIT_PATH=/tmp/units: systemd-analyze --man=no verify -- </tmp/names`,
        { check: false, timeoutMs: 1_200_000 },
      );
      // user names with a dot, which it takes and remarks upon
      const remark = /^Accepting user\/group name '[A-Za-z0-9_.-]+', which does not match strict/;
      return (stdout + stderr).split('\n').filter((line) => line !== '' && !remark.test(line));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}
