/**
 * A campaign of chaos, see docs/reliability.md: `--minutes N` (3), `--seed S`, `--system debian11|debian12|debian13|sid`.
 * `--plant NAME` does what must never be, to show that it is seen. Exit code 1 if something that must never be was.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from '../test/chaos/campaign.ts';
import { type PlantName, plants } from '../test/chaos/plants.ts';
import type { Suite } from '../test/container/rootfs.ts';

const systems: Readonly<Record<string, Suite>> = {
  debian11: 'bullseye',
  debian12: 'bookworm',
  debian13: 'trixie',
  sid: 'sid',
};

function fail(text: string): never {
  console.error(`chaos: ${text}`);
  process.exit(64);
}

const { values } = (() => {
  try {
    return parseArgs({
      options: {
        minutes: { type: 'string', default: '3' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        system: { type: 'string', default: 'debian12' },
        plant: { type: 'string' },
      },
    });
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
})();
const minutes = Number(values.minutes);
if (!(minutes > 0)) fail('--minutes is a number of minutes');
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed)) fail('--seed is a whole number');
const suite = systems[values.system];
if (suite === undefined) fail(`--system is one of ${Object.keys(systems).join(', ')}`);
const plant = values.plant;
if (plant !== undefined && !(plant in plants)) fail(`--plant is one of ${Object.keys(plants).join(', ')}`);

const again = `seed ${seed}: scripts/chaos --seed ${seed} --minutes ${minutes} --system ${values.system}`;
console.log(again);
const began = performance.now();
const { violation } = await runCampaign({
  seed,
  minutes,
  suite,
  plant: plant as PlantName | undefined,
  say: (text) => console.log(`[${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s] ${text}`),
});
console.log(
  violation === undefined
    ? 'nothing that must never be was seen'
    : `VIOLATION (${violation.kind}): ${violation.text}`,
);
console.log(again);
process.exit(violation === undefined ? 0 : 1);
