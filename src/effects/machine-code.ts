/** What Bun has built in; only what is used here. */
declare const Bun:
  | { readonly unsafe: { setJITPolicy(scale: number): void }; readonly shrink: () => void }
  | undefined;

/**
 * Lets the engine compile what runs often, ten times later than by default: that takes least CPU for all that boot
 * calls, the SDK included (docs/notes/bun.md). The executable starts with a hundred times later, for the generator's
 * sake (scripts/build.ts).
 */
export function compileWhatRunsOften(): void {
  if (typeof Bun !== 'undefined') Bun.unsafe.setJITPolicy(10);
}

/**
 * Lets go of memory that the engine has and does not need, 0.1 MB of it; takes 20 µs. For processes that wait, of which
 * there may be fifty (docs/decisions/0005-one-batch.md).
 */
export function letGoOfMemory(): void {
  if (typeof Bun !== 'undefined') Bun.shrink();
}
