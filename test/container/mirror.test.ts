import { describe, expect, it } from 'vitest';
import { mirrorOf } from './mirror.ts';

describe('the Debian mirror', () => {
  it.each([
    ['one line', 'deb http://a.example/debian bookworm main contrib\n'],
    ['options', 'deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main\n'],
    [
      'after another source',
      'deb http://b.example/apt tools main\ndeb http://a.example/debian bookworm main\n',
    ],
    [
      'after its security updates',
      'deb http://s.example bookworm-security main\ndeb http://a.example/debian bookworm main\n',
    ],
    [
      'stanza',
      'Types: deb deb-src\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n',
    ],
    [
      'comment in a stanza, and a list over lines',
      'Types: deb\n# where from\nURIs:\n http://a.example/debian\nSuites: bookworm\nComponents: main\n',
    ],
    [
      'second stanza',
      'Types: deb\nURIs: http://s.example\nSuites: bookworm-security\nComponents: main\n\n' +
        'Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n',
    ],
  ])('is found in sources: %s', (_, sources) => {
    expect(mirrorOf(sources, 'bookworm')).toBe('http://a.example/debian');
  });

  it.each([
    ['commented out', '# deb http://a.example/debian bookworm main\n'],
    ['a list of mirrors', 'deb mirror+file:/etc/apt/mirrors bookworm main\n'],
    ['sources only', 'deb-src http://a.example/debian bookworm main\n'],
    [
      'switched off',
      'Enabled: no\nTypes: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n',
    ],
  ])('is not taken from: %s', (_, sources) => {
    expect(mirrorOf(sources, 'bookworm')).toBeUndefined();
  });
});
