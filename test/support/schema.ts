import { Ajv2020 } from 'ajv/dist/2020.js';
import { manifestSchema } from '../../src/domain/manifest-schema.ts';

// `required` beside `anyOf` and `then` is for members that are described once, elsewhere
const validate = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(
  manifestSchema,
);

/** What the JSON Schema says about a parsed manifest. */
export function schemaAccepts(value: unknown): boolean {
  return validate(value);
}
