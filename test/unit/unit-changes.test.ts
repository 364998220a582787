import { describe, expect, test } from 'vitest';
import { planUnits } from '../../src/unit/plan-units.ts';
import { compareUnits, serviceOf, type UnitTree } from '../../src/unit/unit-changes.ts';
import { read } from '../support/manifests.ts';

const machine = {
  executable: '/usr/bin/unit-secrets',
  memory: 'tmpfs-noswap',
  privateUsers: true,
} as const;

/** The units that the generator writes for these services. */
function treeOf(members: object): UnitTree {
  const manifest = read({ version: 1, ...members } as Parameters<typeof read>[0]);
  const input = { manifest, visibleNames: [], secretsDirectories: [], configDirectories: [], listed: [] };
  const { files } = planUnits(input, machine, () => 'digest');
  return new Map(files.map(({ path, content }) => [path, content]));
}

const app = { environment: { KEY: 'op://Home/App/key' } };
const withConfig = { ...app, configs: { c: { template: '/t' } } };
const inline = { ...app, dynamicUser: 'inline' };
const changes = (before: object, after: object) =>
  compareUnits(treeOf({ services: before }), treeOf({ services: after })).services;

describe('what becomes of a service', () => {
  test.each([
    ['added', {}, { app }, 'added', false],
    ['removed', { app }, {}, 'removed', false],
    ['given something else', { app }, { app: { environment: { OTHER: 'x' } } }, 'changed', true],
    ['given a config', { app }, { app: withConfig }, 'changed', true],
    ['made inline', { app }, { app: inline }, 'changed', true],
    ['broken', { app }, { app: { environment: { '': 'x' } } }, 'broken', false],
    ['mended', { app: { environment: { '': 'x' } } }, { app }, 'mended', false],
  ])('%s', (_, before, after, change, refetch) => {
    expect(changes(before, after)).toEqual([{ service: 'app.service', change, refetch }]);
  });

  test('removed, and it keeps what it fetched by itself until it stops', () => {
    expect(changes({ app: inline }, {})).toEqual([
      { service: 'app.service', change: 'removed', refetch: false, keeps: true },
    ]);
  });

  test('nothing, if nothing changes', () => {
    expect(changes({ app }, { app })).toEqual([]);
  });

  test('its units alone change where the settings of all do that it is not fetched by', () => {
    const services = { app };
    const before = treeOf({ services });
    const after = treeOf({ services, fetch: { retryEvery: '7s' } });
    expect(compareUnits(before, after).services).toEqual([
      { service: 'app.service', change: 'changed', refetch: false },
    ]);
  });
});

test('every unit but those that all share is known by its service', () => {
  const sshKeys = { 'first-last': { privateKey: 'x' } };
  for (const [path, content] of treeOf({
    services: { 'a@b:c\\x20': withConfig, weather: inline },
    sshKeys,
  })) {
    const shared = /^(?:unit-secrets-|run-)/.test(path);
    const service = serviceOf(path, content);
    if (shared) expect(service).toBeUndefined();
    else
      expect(['a@b:c\\x20.service', 'weather.service', 'ssh-key-setup@first\\x2dlast.service']).toContain(
        service,
      );
  }
});
