import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { render } from '../../../src/domain/render/render.ts';
import { partsOf } from '../../support/render.ts';

const documentation = readFileSync(join(import.meta.dirname, '../../../docs/rendering.md'), 'utf8');

function example(name: string): string {
  const [, text] = new RegExp(`<!-- ${name} -->\n\`\`\`text\n([\\s\\S]*?)\`\`\`\n`).exec(documentation) ?? [];
  if (text === undefined) throw new Error(`docs/rendering.md has no ${name}`);
  return text;
}

test('the documented template becomes the documented file', () => {
  const result = render({
    format: 'yaml',
    parts: partsOf(example('template')),
    values: {
      names: new Map([
        ['OPENAI_API_KEY', 'sk-proj-T3BlbkFJ'],
        ['LITELLM_MASTER_KEY', 'sk: #"\'{1}'],
        ['MAX_REQUESTS', '20'],
        ['SITE', 'home: #1'],
      ]),
      references: new Map([['op://Homelab/LiteLLM/db-password', 'hunter2']]),
    },
  });
  expect(result).toEqual({ ok: true, text: example('result') });
});
