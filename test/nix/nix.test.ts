/**
 * The Nix expressions, evaluated with Nix itself and a stand-in for nixpkgs (nixpkgs.nix): what they say is
 * tested here, that a NixOS machine takes it is not.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { binary } from '../build/binary.ts';
import { run } from '../container/run.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const repository = join(import.meta.dirname, '../..');
const nixpkgs = (store: string, system = 'x86_64-linux'): string =>
  `(import ${join(import.meta.dirname, 'nixpkgs.nix')} { store = "${store}"; system = "${system}"; })`;

/** The value of an expression, as JSON. */
async function evaluate(expression: string): Promise<unknown> {
  const home = temporaryDirectory();
  const { stdout } = await run(
    // nothing is written to a store: there is none
    ['nix-instantiate', '--eval', '--strict', '--json', '--readonly-mode', '--expr', expression],
    { env: { PATH: process.env['PATH'], HOME: home, NIX_REMOTE: 'dummy://' }, timeoutMs: 60_000 },
  );
  return JSON.parse(stdout);
}

interface Package {
  readonly pname: string;
  readonly version: string;
  readonly configurePhase: string;
  readonly src: { readonly root: string; readonly files: readonly string[] };
  readonly env: { readonly UNIT_SECRETS_COMMIT: string };
}

interface Machine {
  readonly settings: unknown;
  readonly generators: Readonly<Record<string, string>>;
  readonly source: { readonly script?: string; readonly value?: unknown };
  readonly assertions: readonly { readonly assertion: boolean; readonly message: string }[];
}

/** The module's work for a machine; the settings are written in Nix. */
async function machine(settings: string, store = '/stub'): Promise<Machine> {
  const expression = `
    let
      stub = ${nixpkgs(store)};
      made = stub.evaluate (import ${repository}/nix/module.nix) (${settings});
      source = made.environment.etc."unit-secrets/manifest.json".source;
    in {
      inherit (made) settings assertions;
      inherit (made.systemd) generators;
      source = builtins.removeAttrs source [ "outPath" ];
    }`;
  return (await evaluate(expression)) as Machine;
}

test.each(['flake.nix', 'nix/module.nix', 'nix/package.nix'])(
  '%s is in order as Nix sees it',
  async (path) => {
    const { code } = await run(['nix-instantiate', '--parse', join(repository, path)], { check: false });
    expect(code).toBe(0);
  },
);

describe('the flake', () => {
  const flake = (what: string): string => `
    let
      stub = ${nixpkgs('/stub')};
      outputs = (import ${repository}/flake.nix).outputs {
        self = { rev = "0123456789abcdef"; };
        nixpkgs = stub // { legacyPackages = stub.legacyPackages // { aarch64-linux = stub.legacyPackages.x86_64-linux; }; };
      };
    in ${what}`;

  test('has a package, an overlay and a module', async () => {
    expect(await evaluate(flake('builtins.mapAttrs (_: builtins.attrNames) outputs'))).toEqual({
      nixosModules: ['default'],
      overlays: ['default'],
      packages: ['aarch64-linux', 'x86_64-linux'],
    });
    expect(await evaluate(flake('outputs.packages.x86_64-linux.default.env'))).toEqual({
      UNIT_SECRETS_COMMIT: '0123456789abcdef',
    });
    const pkgs = 'stub.legacyPackages.x86_64-linux';
    expect(await evaluate(flake(`(outputs.overlays.default ${pkgs} {}).unit-secrets.pname`))).toBe(
      'unit-secrets',
    );
    const module = `outputs.nixosModules.default { inherit (stub) lib; pkgs = ${pkgs}; }`;
    expect(await evaluate(flake(`(${module}).services.unit-secrets.package.fallback.pname`))).toBe(
      'unit-secrets',
    );
  });
});

describe('the package', () => {
  const packageOf = async (system: string): Promise<Package> =>
    (await evaluate(
      `builtins.removeAttrs (${nixpkgs('/stub', system)}.legacyPackages.${system}.callPackage ${repository}/nix/package.nix {}) [ "outPath" ]`,
    )) as Package;

  test('is of the version in package.json', async () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(await packageOf('x86_64-linux')).toMatchObject({ pname: 'unit-secrets', version });
  });

  test.each([
    ['x86_64-linux', 'x64', 'x64'],
    ['aarch64-linux', 'arm64', 'aarch64'],
  ])('for %s unpacks what is in package-lock.json for it', async (system, npm, bun) => {
    const { configurePhase } = await packageOf(system);
    const unpacked = [...configurePhase.matchAll(/--strip-components 1 --directory '([^']+)'/g)].map(
      ([, place]) => place,
    );
    for (const place of [
      'commander',
      '@1password/sdk',
      'age-encryption',
      'esbuild',
      `@oven/bun-linux-${bun}`,
      `@esbuild/linux-${npm}`,
    ])
      expect(unpacked).toContain(`node_modules/${place}`);
    const foreign = unpacked.filter((place) =>
      /darwin|win32|freebsd|android|musl|node-linux/.test(place ?? ''),
    );
    expect(foreign).toEqual([]);
    const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
      packages: Readonly<
        Record<string, { readonly integrity: string; readonly os?: unknown; readonly cpu?: unknown }>
      >;
    };
    const everywhere = Object.entries(packages).filter(([place, { os, cpu }]) => place !== '' && !os && !cpu);
    expect(everywhere.filter(([place]) => !unpacked.includes(place))).toEqual([]);
    expect(configurePhase).toContain(packages['node_modules/commander']?.integrity.replaceAll('/', '_'));
  });

  test('has in its sources all that the build reads', async () => {
    const { src } = await packageOf('x86_64-linux');
    const directory = temporaryDirectory();
    for (const path of src.files)
      cpSync(path, join(directory, path.slice(src.root.length + 1)), { recursive: true });
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    await run([process.execPath, join(directory, 'scripts/build.ts')], {
      env: { ...process.env, UNIT_SECRETS_COMMIT: '' },
    });
    expect(existsSync(join(directory, 'dist/unit-secrets'))).toBe(true);
    for (const path of ['man', 'examples/homelab/manifest.json', 'schema/manifest.schema.json'])
      expect(existsSync(join(directory, path)), path).toBe(true);
  });
});

const services = 'services.app.environment.KEY = "op://Homelab/App/key";';

describe('the module', () => {
  test('makes the manifest and the generator', async () => {
    const { settings, generators, assertions } = await machine(
      `{ enable = true; settings = { ${services} }; }`,
    );
    expect(settings).toEqual({
      version: 1,
      services: { app: { environment: { KEY: 'op://Homelab/App/key' } } },
    });
    expect(generators).toEqual({ 'unit-secrets-generator': '/stub/unit-secrets/bin/unit-secrets' });
    expect(assertions.filter(({ assertion }) => !assertion)).toEqual([]);
  });

  test('takes the token from a file of agenix', async () => {
    const { settings } = await machine(
      `{ enable = true; tokenFile = "/run/agenix/onepassword"; settings = { ${services} }; }`,
    );
    expect(settings).toMatchObject({ token: { file: '/run/agenix/onepassword' } });
  });

  test.each([
    ['relative', 'token', 'must be an absolute path'],
    ['in the store', '/nix/store/abc-token', 'is in the Nix store, which everyone can read'],
  ])('refuses a token file that is %s', async (_, path, message) => {
    const { assertions } = await machine(
      `{ enable = true; tokenFile = "${path}"; settings = { ${services} }; }`,
    );
    expect(assertions.filter(({ assertion }) => !assertion)).toEqual([
      { assertion: false, message: expect.stringContaining(message) },
    ]);
  });

  /** Runs the check of the manifest with the real program. */
  async function check(settings: string) {
    const store = temporaryDirectory();
    const { source, settings: manifest } = await machine(
      `{ enable = true; settings = { ${settings} }; }`,
      store,
    );
    mkdirSync(join(store, 'unit-secrets/bin'), { recursive: true });
    symlinkSync(await binary(), join(store, 'unit-secrets/bin/unit-secrets'));
    writeFileSync(join(store, 'unit-secrets-manifest.json'), JSON.stringify(manifest));
    const work = temporaryDirectory();
    const out = join(work, 'out');
    const { code, stderr } = await run(['sh', '-euc', `cd "$0"\n${source.script}`, work], {
      check: false,
      env: { PATH: process.env['PATH'], out },
    });
    return { code, stderr, made: readdirSync(work).includes('out'), manifest, out };
  }

  test('checks the manifest when the system is built', async () => {
    const { code, made, manifest, out } = await check(services);
    expect({ code, made }).toEqual({ code: 0, made: true });
    expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(manifest);
  });

  test('an error in the manifest ends the build, with the message', async () => {
    const { code, stderr, made } = await check('services.app.environment.KEY = "op://Homelab";');
    expect({ code, made }).toEqual({ code: 1, made: false });
    expect(stderr).toContain('$.services.app.environment.KEY');
  });

  test('without the check gives the manifest as it is', async () => {
    const { source } = await machine(`{ enable = true; checkManifest = false; settings = { ${services} }; }`);
    expect(source).toHaveProperty('value');
    expect(source).not.toHaveProperty('script');
  });

  test('does nothing if it is not enabled', async () => {
    const made = await evaluate(
      `builtins.attrNames (${nixpkgs('/stub')}.evaluate (import ${repository}/nix/module.nix) { settings = { ${services} }; })`,
    );
    expect(made).toEqual(['settings']);
  });
});
