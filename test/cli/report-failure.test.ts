import { expect, test } from 'vitest';
import { exitCodes } from '../../src/domain/exit-codes.ts';
import { type Outcome, runModule } from '../support/command.ts';

/** The outcome of a command whose code is given. */
function outcomeOf(code: string, env: NodeJS.ProcessEnv = {}): Outcome {
  return runModule(
    `import { toExitCode } from 'SOURCE/cli/report-failure.ts';
     import { FailureError } from 'SOURCE/domain/failure.ts';
     process.exitCode = await toExitCode(async () => { ${code} });`,
    env,
  );
}

const failure = `{ class: 'transient', exitCode: 75, message: 'not now\\nbut \\x1b[31mlater' }`;

test('a command ends with its own exit code', () => {
  expect(outcomeOf('return 2;')).toEqual({ exitCode: exitCodes.changes, stdout: '', stderr: '' });
});

test('expected trouble is told with its hint and has its own exit code', () => {
  expect(outcomeOf(`throw new FailureError({ ...${failure}, hint: 'wait' });`)).toEqual({
    exitCode: exitCodes.temporaryFailure,
    stdout: '',
    stderr: 'not now\nbut �[31mlater (wait)\n',
  });
});

test('below systemd every line has its priority', () => {
  const { stderr } = outcomeOf(`throw new FailureError(${failure});`, { JOURNAL_STREAM: '8:1' });
  expect(stderr).toBe('<3>not now\n<3>but �[31mlater\n');
});

test.each([
  [
    "throw Object.assign(new RangeError('Hunter2'), { code: 'ERR_X' });",
    /unexpected RangeError ERR_X in \S+ \(please/,
  ],
  ["throw 'Hunter2';", /unexpected string \(please/],
])('a bug says that it is one and where, but not what it was about: %s', (code, message) => {
  const { exitCode, stderr } = outcomeOf(code);
  expect(exitCode).toBe(exitCodes.software);
  expect(stderr).toMatch(/^this is a bug in unit-secrets: /);
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('Hunter2');
});
