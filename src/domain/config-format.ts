/** The formats of rendered files; `text` is put together without a look at what it says. */
export const formatNames = ['json', 'yaml', 'toml', 'ini', 'env', 'text'] as const;

export type FormatName = (typeof formatNames)[number];

/** The format that a template's name tells: that of its extension, `text` if that is no format's. */
export function formatOfPath(path: string): FormatName {
  const [, extension = ''] = /\.([A-Za-z]+)$/.exec(path) ?? [];
  const name = extension === 'yml' ? 'yaml' : extension;
  return formatNames.find((one) => one === name) ?? 'text';
}
