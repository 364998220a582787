import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { manifestSchema } from '../../src/domain/manifest-schema.ts';
import { run } from '../container/run.ts';
import { unitSecrets } from '../support/command.ts';
import { manifestPath } from '../support/manifests.ts';
import { schemaAccepts } from '../support/schema.ts';
import { temporaryDirectory, temporaryTree } from '../support/temporary.ts';

const directory = join(import.meta.dirname, '../../man');
const names = readdirSync(directory).sort();
const pages = new Map(names.map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
const page = (name: string): string => pages.get(name) ?? '';

test('there is a page for the program, for the generator and for the manifest', () => {
  expect(names).toEqual(['unit-secrets-generator.8', 'unit-secrets.1', 'unit-secrets.manifest.5']);
});

describe.each(names)('%s', (name) => {
  test('has the name and the section of its file', () => {
    const [, title, section] = /^\.Dt (\S+) (\d)$/m.exec(page(name)) ?? [];
    expect(`${title?.toLowerCase()}.${section}`).toBe(name);
    expect(page(name)).toMatch(new RegExp(`^\\.Nm ${name.slice(0, -2).replaceAll('.', '\\.')}$`, 'm'));
  });

  test('refers to no page of ours that is not there', () => {
    const ours = [...page(name).matchAll(/^\.(?:Xr|Pq Xr) (unit-secrets\S*) (\d)/gm)].map(
      ([, title, section]) => `${title}.${section}`,
    );
    expect(ours.length).toBeGreaterThan(0);
    expect(ours.filter((other) => !names.includes(other))).toEqual([]);
  });

  test('is in order as mandoc sees it', async () => {
    const { code, stdout } = await run(['mandoc', '-T', 'lint', '-W', 'warning', join(directory, name)], {
      check: false,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });
});

test('units name a page that is there', () => {
  const units = join(directory, '../src/unit');
  const source = readdirSync(units)
    .map((name) => readFileSync(join(units, name), 'utf8'))
    .join('\n');
  const named = [...source.matchAll(/man:([\w.-]+)\((\d)\)/g)].map(
    ([, title, section]) => `${title}.${section}`,
  );
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => !names.includes(name))).toEqual([]);
});

test('unit-secrets-generator.8 names every kind of unit that is generated', () => {
  const root = temporaryTree({ [manifestPath]: exampleManifest() });
  const output = join(temporaryDirectory(), 'units');
  expect(unitSecrets(['generate', '--root', root, '--output', output]).exitCode).toBe(exitCodes.ok);
  const kinds = readdirSync(output)
    .filter((name) => !name.endsWith('.wants'))
    .map((name) => name.replace(/^(cloudflared|litellm|grafana)\b/, 'X').replace('@admin', '@USER'))
    .filter((name) => !name.startsWith('backup'));
  expect(kinds).toContain('X-config.service');
  const text = page('unit-secrets-generator.8').replaceAll('\\e', '\\');
  expect(kinds.filter((kind) => !text.includes(`Pa ${kind}`))).toEqual([]);
});

describe('exit codes are those of the program', () => {
  const codes = Object.values(exitCodes).sort((a, b) => a - b);

  test('in the manual page', () => {
    const [, section = ''] = /^\.Sh EXIT STATUS\n([\s\S]*?)^\.Sh /m.exec(page('unit-secrets.1')) ?? [];
    const described = [...section.matchAll(/^\.It (\d+)$/gm)].map(([, code]) => Number(code));
    // none but `plan`, which says so itself, ends with 2
    expect(described).toEqual(codes.filter((code) => code !== exitCodes.changes || described.includes(code)));
  });

  test('in the README', () => {
    const readme = readFileSync(join(directory, '../README.md'), 'utf8');
    const [, section = ''] = /^### Exit codes\n([\s\S]*?)^#/m.exec(readme) ?? [];
    const described = [...section.matchAll(/^\| (\d[\d, ]*?) *\|/gm)].flatMap(([, list = '']) =>
      list.split(', ').map(Number),
    );
    expect(described).toEqual(codes.filter((code) => code !== exitCodes.changes || described.includes(code)));
  });
});

describe('unit-secrets.manifest.5', () => {
  const text = page('unit-secrets.manifest.5');

  test('describes every member of the JSON Schema, and no other', () => {
    const described = membersInPage(text);
    const known = membersOf(manifestSchema as unknown as SchemaNode);
    expect(known).toContain('services.*.environment');
    expect(known.filter((member) => !described.includes(member))).toEqual([]);
    expect(described.filter((member) => !known.includes(member))).toEqual([]);
    expect(new Set(described).size).toBe(described.length);
  });

  test('says the defaults that the JSON Schema has', () => {
    const { fetch, token, provider } = manifestSchema.properties;
    const { tries, timeout, retryEvery } = fetch.properties;
    const [, ageVault] = provider.oneOf;
    const defaults = [
      tries.default,
      timeout.default,
      retryEvery.default,
      token.default.age,
      ageVault.properties.path.default,
      ...ageVault.properties.identity.default,
    ];
    for (const value of defaults) expect(text).toMatch(new RegExp(`(?:^|\\s)${value}(?:$|\\s)`, 'm'));
  });

  test('shows an example that is a manifest', () => {
    expect(schemaAccepts(JSON.parse(exampleManifest()))).toBe(true);
  });
});

/** The manifest that unit-secrets.manifest.5 shows. */
function exampleManifest(): string {
  const [, literal = ''] = /^\.Bd -literal\n([\s\S]*?)^\.Ed$/m.exec(page('unit-secrets.manifest.5')) ?? [];
  return literal;
}

/** Members by their paths, `services.*.environment`, as headings and items say them. */
function membersInPage(text: string): readonly string[] {
  const found: string[] = [];
  let path = '';
  for (const line of text.split('\n')) {
    const [, heading] = /^\.S[sh] (.*)$/.exec(line) ?? [];
    if (heading !== undefined)
      path = heading === 'Top level' ? '' : `${heading.replaceAll(/\b[A-Z]+\b/g, '*')}.`;
    const [, member] = /^\.It Cm (\S+)$/.exec(line) ?? [];
    if (member !== undefined) found.push(`${path}${member}`);
  }
  return found;
}

type SchemaNode = { readonly [key: string]: unknown };

function membersOf(root: SchemaNode): readonly string[] {
  const found = new Set<string>();
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const { $ref, properties, additionalProperties, patternProperties, ...rest } = node as SchemaNode;
    if (typeof $ref === 'string') visit((root['$defs'] as SchemaNode)[$ref.replace('#/$defs/', '')], path);
    for (const [name, member] of Object.entries(properties ?? {})) {
      found.add(`${path}${name}`);
      visit(member, `${path}${name}.`);
    }
    for (const member of [additionalProperties, ...Object.values(patternProperties ?? {})]) {
      visit(member, `${path}*.`);
    }
    for (const key of ['oneOf', 'anyOf', 'allOf', 'then', 'else']) {
      for (const part of [rest[key]].flat()) visit(part, path);
    }
  };
  visit(root, '');
  return [...found];
}
