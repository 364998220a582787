export type Setting = readonly [name: string, value: string];

/** A unit file or drop-in: sections in order, settings in order, names repeated at will. */
export interface UnitFile {
  /** The unit's name, or for a drop-in `X.service.d/50-….conf`: the path below the normal directory. */
  readonly path: string;
  /** Lines for whoever reads the file with `systemctl cat`. */
  readonly comments?: readonly string[];
  readonly sections: readonly { readonly name: string; readonly settings: readonly Setting[] }[];
}

/** Writes a unit file as in systemd.syntax(7); values must have been escaped for their setting (`syntax.ts`). */
export function serialiseUnit(unit: UnitFile, header: readonly string[]): string {
  const lines = [...header, ...(unit.comments ?? [])].map((line) => `# ${line}`);
  for (const section of unit.sections) {
    if (section.settings.length === 0) continue;
    lines.push('', `[${section.name}]`);
    for (const [name, value] of section.settings) lines.push(`${name}=${value}`);
  }
  return `${lines.join('\n')}\n`;
}
