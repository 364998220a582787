/**
 * Each fault at each request of a fetch, as the program that is built and the unmodified SDK meet it; the fault
 * lasts. By default each column is tried for some rows and each row for some columns: `UNIT_SECRETS_FAULTS=all` for
 * the whole table.
 *
 * What comes of it, in two tries:
 *
 *     ok         fetched in the first try
 *     transient  two tries, then 75: the retry timer goes on
 *     silence    one try, which takes all the time that there is, then 75
 *     limited    one try, 75, and a cool-down for all
 *     refused    one try, 77: permission or token
 *     missing    one try, 65: it cannot be told from what does not exist
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import type { Fault } from '../emulator/faults.ts';
import { FetchMachine } from '../support/fetch-machine.ts';

const table = `
            auth-start  auth        confirm-key  auth-complete  vaults     keysets    overviews  batch      file
reset       transient   transient   transient    transient      transient  transient  transient  transient  transient
close       transient   transient   transient    transient      transient  transient  transient  transient  transient
cut         transient   transient   transient    transient      transient  transient  transient  transient  transient
hang        silence     silence     silence      silence        silence    silence    silence    silence    silence  
hang-body   silence     silence     silence      silence        silence    silence    silence    silence    silence  
slow        ok          ok          ok           ok             ok         ok         ok         ok         ok
400         transient   transient   transient    transient      transient  transient  transient  transient  transient
401         refused     refused     refused      refused        refused    refused    refused    refused    refused
403         refused     refused     refused      refused        refused    refused    refused    refused    refused
404         transient   transient   transient    transient      missing    transient  missing    missing    transient
408         transient   transient   transient    transient      transient  transient  transient  transient  transient
409         transient   transient   transient    transient      transient  transient  transient  transient  transient
418         transient   transient   transient    transient      transient  transient  transient  transient  transient
429         limited     limited     limited      limited        limited    limited    limited    limited    limited
500         transient   transient   transient    transient      transient  transient  transient  transient  transient
502         transient   transient   transient    transient      transient  transient  transient  transient  transient
503         transient   transient   transient    transient      transient  transient  transient  transient  transient
504         transient   transient   transient    transient      transient  transient  transient  transient  transient
html        transient   transient   transient    transient      transient  transient  transient  transient  transient
empty       transient   transient   transient    transient      transient  transient  transient  transient  transient
truncated   transient   transient   transient    transient      transient  transient  transient  transient  transient
garbled     transient   transient   transient    transient      transient  transient  transient  transient  transient
`;

const outcomes = {
  ok: { exitCode: exitCodes.ok, tries: 1, line: /^try 1 of 2: fetched 2 secrets$/ },
  transient: { exitCode: exitCodes.temporaryFailure, tries: 2, line: /^try 2 of 2: transient: / },
  silence: {
    exitCode: exitCodes.temporaryFailure,
    tries: 1,
    line: /^try 1 of 2: transient: 1Password did not answer within \d s$/,
  },
  limited: {
    exitCode: exitCodes.temporaryFailure,
    tries: 1,
    line: /^try 1 of 2: rate-limited: 1Password limits the rate of requests$/,
  },
  refused: { exitCode: exitCodes.noPermission, tries: 1, line: /^try 1 of 2: permanent: / },
  missing: { exitCode: exitCodes.dataError, tries: 1, line: /^try 1 of 2: permanent: / },
} as const;
type Outcome = keyof typeof outcomes;

/** The reason in the journal, of what is worth another try. */
const reasons: readonly (readonly [faults: string, RegExp])[] = [
  ['reset close', /1Password could not be reached$/],
  ['cut 408', /the connection to 1Password broke off$/],
  [
    '400 404 409',
    /1Password refuses a request that is in order at other times$|could not resolve it this time$/,
  ],
  ['418', /1Password answers with the status 418$/],
  ['500 502 503 504', /1Password reports an internal error$/],
  [
    'html empty truncated garbled',
    // of a file that does not decrypt, the SDK says nothing that could be told apart
    /what answers for 1Password gives no answer of its kind$|could not resolve it this time$/,
  ],
];

const [head = [], ...rows] = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/));
const all = process.env['UNIT_SECRETS_FAULTS'] === 'all';
const cells = rows
  .flatMap(([fault = '', ...cellsOf], row) =>
    cellsOf.map((outcome, column) => ({
      fault,
      request: head[column] ?? '',
      outcome: outcome as Outcome,
      at: row + column,
    })),
  )
  .filter(({ at }) => all || at % 6 === 0);

function faultOf(name: string): Fault {
  if (/^\d+$/.test(name)) return { kind: 'status', status: Number(name) };
  return name === 'slow' ? { kind: 'delay', delayMs: 500 } : { kind: name as Fault['kind'] };
}

const secrets = ['n0t-4-r34l-s3cr3t', 'n0t-4-r34l-f1l3'];
const before = { env: 'PASSWORD="before"\nFILE="before"\n', '.ok-before': '' };

let machine: FetchMachine;
beforeAll(async () => {
  const item = { fields: { password: secrets[0] }, files: { 'ca.pem': secrets[1] } };
  machine = await FetchMachine.start({ vaults: { Homelab: { items: { App: item } } } });
});
afterAll(() => machine.stop());
beforeEach(() => {
  machine.emulator.clearFaults();
  machine.forget();
});

function filesOf(name: string): Readonly<Record<string, string>> {
  const directory = machine.directoryOf(name);
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((file) => [file, readFileSync(join(directory, file), 'utf8')]),
  );
}

test.each(cells)('$fault at $request: $outcome', async ({ fault, request, outcome }) => {
  const { exitCode, tries, line } = outcomes[outcome];
  const timeout = outcome === 'silence' ? '6s' : '60s';
  await machine.load(
    { app: { PASSWORD: 'op://Homelab/App/password', FILE: 'op://Homelab/App/ca.pem' } },
    { tries: 2, timeout },
  );
  // as after an earlier start, with other values
  for (const [name, content] of Object.entries(before))
    writeFileSync(join(machine.directoryOf('app'), name), content);
  machine.emulator.fault({ ...faultOf(fault), match: request });
  const fetched = await machine.fetch('app');
  const lines = fetched.stderr.trimEnd().split('\n');
  const tried = lines.filter((text) => text.startsWith('try '));
  expect([fetched.exitCode, tried.length]).toEqual([exitCode, tries]);
  expect(tried.at(-1)).toMatch(line);
  if (outcome === 'transient') {
    const [, reason] = reasons.find(([faults]) => faults.split(' ').includes(fault)) ?? [];
    expect(tried.at(-1)).toMatch(reason ?? 'a reason for this fault');
    expect(lines.at(-1)).toMatch(/it is tried again by itself, at once with "unit-secrets retry app"\)$/);
  }
  if (outcome === 'ok')
    expect(filesOf('app')['env']).toBe(`PASSWORD="${secrets[0]}"\nFILE="${secrets[1]}"\n`);
  else expect(filesOf('app')).toEqual(before);
  expect(machine.leftovers()).toEqual([]);
  expect(readdirSync(machine.queue).includes('cool-down')).toBe(outcome === 'limited');
  for (const secret of [...secrets, 'ops_']) expect(fetched.stderr).not.toContain(secret);
});
