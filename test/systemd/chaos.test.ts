/** A short campaign of chaos, and that it can fail. For longer ones: scripts/chaos. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audit, runCampaign } from '../chaos/campaign.ts';
import type { Violation } from '../chaos/observer.ts';
import { type PlantName, plants } from '../chaos/plants.ts';
import { Script } from '../chaos/script.ts';
import { ChaosMachine } from '../chaos/world.ts';
import { poll } from '../container/poll.ts';

/** These wait for deadlines of half a minute and more: `scripts/chaos --plant` shows that they are seen. */
const slow: readonly PlantName[] = ['lock', 'healing'];

test('half a minute of chaos leaves nothing that must never be', { timeout: 600_000 }, async () => {
  const said: string[] = [];
  const { violation, steps } = await runCampaign({
    seed: 20_260_101,
    minutes: 0.5,
    suite: 'bookworm',
    say: (text) => said.push(text),
  });
  expect(violation, said.join('\n')).toBeUndefined();
  expect(steps).toBeGreaterThan(5);
});

test('a seed tells what is done, and in which order', () => {
  const told = (seed: number) => {
    const script = new Script(seed);
    return Array.from({ length: 300 }, () => script.next()).map(({ number, pause, actions }) => [
      number,
      pause,
      ...actions.map(({ text, awaited }) => `${text} ${awaited}`),
    ]);
  };
  expect(told(1)).toEqual(told(1));
  expect(told(1)).not.toEqual(told(2));
});

describe('what must never be is seen', () => {
  let world: ChaosMachine;
  let found: Violation[] = [];

  beforeAll(async () => {
    world = await ChaosMachine.boot('bookworm', (violation) => found.push(violation));
    await world.command('systemctl start alpha beta', { names: ['alpha', 'beta'], wants: 'up' });
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  test('and what may be is not', async () => {
    found = [];
    await world.settle();
    expect(await audit(world, 'everything')).toBeUndefined();
    expect(found).toEqual([]);
  });

  test.each((Object.keys(plants) as PlantName[]).filter((name) => !slow.includes(name)))(
    '%s',
    async (name) => {
      const { seen, does, undo } = plants[name] as (typeof plants)['disk'];
      found = [];
      await does(world);
      await poll(
        async () => {
          world.judgeStarts();
          world.readRequests();
          const told = await audit(world, 'everything');
          return [...found, ...(told ? [told] : [])].some(({ kind }) => kind === seen);
        },
        `a violation of kind ${seen}`,
        60_000,
      );
      await undo?.(world);
    },
  );
});
