/**
 * The last words of scripts/test: what failed, and the line 'N passed, N failed' that tools read.
 *
 *     node scripts/test-summary.ts REPORT VITEST-EXIT-CODE [FAILED-STEP…]
 *
 * REPORT is what vitest's JSON reporter wrote. Exits with 1 unless everything passed, so that the line and
 * the exit code cannot disagree.
 */
import { readFileSync } from 'node:fs';

/** The part of vitest's report that is read here. */
interface Report {
  readonly numPassedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
}

const [reportPath = '', exitCode = '', ...failedSteps] = process.argv.slice(2);
const report = readReport(reportPath);
const failures = [...failedSteps, ...(report?.testResults ?? []).flatMap(failuresOf)];
if (exitCode !== '0' && failures.length === failedSteps.length) {
  // such as an error outside of all tests
  failures.push(
    report === undefined ? 'tests (vitest did not finish)' : `tests (vitest ended with ${exitCode})`,
  );
}
const passed = report?.numPassedTests ?? 0;
if (passed === 0 && failures.length === 0) {
  failures.push('tests (none was run)');
}
for (const failure of failures) {
  console.log(`failed: ${failure}`);
}
const skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
console.log(`${passed} passed, ${failures.length} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** A file that failed without a failing test could not be loaded, or one of its hooks failed. */
function failuresOf(file: FileResult): readonly string[] {
  const tests = file.assertionResults.filter(({ status }) => status === 'failed');
  const name = file.name.replace(`${process.cwd()}/`, '');
  return file.status === 'failed' && tests.length === 0
    ? [name]
    : tests.map(({ fullName }) => `${name}: ${fullName}`);
}

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report;
  } catch {
    return undefined;
  }
}
