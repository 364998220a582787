import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    // two cores: containers and the SDK's sign-in are heavy, more workers only make them time out
    maxWorkers: 2,
    // a machine that is busy with something else for a while; what fails twice is broken
    retry: process.env['CI'] === undefined ? 0 : 1,
  },
});
