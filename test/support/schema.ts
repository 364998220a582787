import { Ajv2020 } from 'ajv/dist/2020.js';
import { fragmentSchema, manifestSchema } from '../../src/domain/manifest-schema.ts';

// `required` beside `anyOf` and `then` is for members that are described once, elsewhere
const options = { strict: true, strictRequired: false, allErrors: true };
const validate = new Ajv2020(options).compile(manifestSchema);
const validateFragment = new Ajv2020(options).compile(fragmentSchema);

/** What the JSON Schema says about a parsed manifest. */
export function schemaAccepts(value: unknown): boolean {
  return validate(value);
}

/** What that of a file below manifest.d says. */
export function fragmentSchemaAccepts(value: unknown): boolean {
  return validateFragment(value);
}
