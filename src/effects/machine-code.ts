/** What Bun has built in; only what is used here. */
declare const Bun: { readonly unsafe: { setJITPolicy(scale: number): void } } | undefined;

/**
 * Lets the engine compile what runs often, as it does by default. The executable starts without, for the
 * generator's sake (scripts/build.ts); the SDK's sign-in takes 30 times as long so.
 */
export function compileWhatRunsOften(): void {
  if (typeof Bun !== 'undefined') Bun.unsafe.setJITPolicy(1);
}
