import { Ajv2020 } from 'ajv/dist/2020.js';
import { manifestSchema } from '../../src/domain/manifest-schema.ts';

const validate = new Ajv2020({ strict: true, allErrors: true }).compile(manifestSchema);

/** What the JSON Schema says about a parsed manifest. */
export function schemaAccepts(value: unknown): boolean {
  return validate(value);
}
