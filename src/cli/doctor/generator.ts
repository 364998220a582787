import { accessSync, constants, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import type { UnitTree } from '../../unit/unit-changes.ts';
import { codeOf, error, type HostFinding, ok, warning } from './finding.ts';

/** In the order in which systemd looks; the first entry of a name hides the others (systemd.generator(7)). */
const directories = [
  '/run/systemd/system-generators',
  '/etc/systemd/system-generators',
  '/usr/local/lib/systemd/system-generators',
  '/usr/lib/systemd/system-generators',
];
const check = 'generator';

/** The command that installs a program as a generator; by default the one that runs. */
export function installCommand(program: string = process.execPath): string {
  const quoted = /^[\w./+-]+$/.test(program) ? program : `'${program.replaceAll("'", "'\\''")}'`;
  return `ln -s ${quoted} /etc/systemd/system-generators/unit-secrets-generator`;
}

/** Whether systemd will run the generator, and whether it has. */
export function checkGenerator(loaded: UnitTree, hasEntries: boolean): HostFinding[] {
  const installed = findGenerators();
  const findings: HostFinding[] = [];
  if (installed.length === 0)
    return [error(check, 'systemd knows no unit-secrets generator', installCommand())];
  for (const path of installed) findings.push(checkOne(path));
  if (installed.length > 1) {
    findings.push(
      warning(
        check,
        `there are several: ${installed.join(', ')}; they write the same files`,
        'remove all but one',
      ),
    );
  }
  if (hasEntries && loaded.size === 0) {
    findings.push(error(check, 'the manifest has entries, and no unit is loaded', 'systemctl daemon-reload'));
  }
  findings.push(...checkPrograms(loaded));
  return findings;
}

function findGenerators(): string[] {
  const seen = new Set<string>();
  const found: string[] = [];
  for (const directory of directories) {
    let names: string[];
    try {
      names = readdirSync(directory);
    } catch {
      continue;
    }
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      const path = `${directory}/${name}`;
      if (name.includes('unit-secrets') || leadsHere(path)) found.push(path);
    }
  }
  return found;
}

function leadsHere(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && realpathSync(path) === process.execPath;
  } catch {
    return false;
  }
}

function checkOne(path: string): HostFinding {
  try {
    if (lstatSync(path).isSymbolicLink() && readlinkSync(path) === '/dev/null')
      return error(check, `${path} is masked`, `rm ${path}`);
    accessSync(path, constants.X_OK);
    return ok(check, `${path} is installed`);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT') return error(check, `${path} leads to nothing`, `rm ${path}; ${installCommand()}`);
    return error(check, `${path} is not executable: systemd skips it without a word`, `chmod +x ${path}`);
  }
}

/** The units call what generated them: it may have been moved or removed since. */
function checkPrograms(loaded: UnitTree): HostFinding[] {
  const programs = new Set<string>();
  for (const content of loaded.values()) {
    const [, program] = /^ExecStart=(\/\S+) (?:fetch|render|token) /m.exec(content) ?? [];
    if (program !== undefined) programs.add(program);
  }
  return [...programs].flatMap((program) => {
    try {
      accessSync(program, constants.X_OK);
      return [];
    } catch {
      return [error(check, `the units call ${program}, which cannot be executed`, 'systemctl daemon-reload')];
    }
  });
}
