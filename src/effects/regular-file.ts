import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';

/** The `code` of the error for what is no file, beside those of the file system. */
export const notRegular = 'not a regular file';

/**
 * Reads a regular file, which somebody else may be replacing meanwhile. Nothing else is ever waited for or read: the
 * open of a pipe would wait for a writer for ever, that of a device might do something.
 *
 * @param largest in bytes
 * @throws the file system's error; with the code `notRegular`, or EFBIG for a file that is larger
 */
export function readRegularFile(
  path: string,
  largest: number,
): { readonly bytes: Buffer; readonly status: Stats } {
  // before it is opened, for devices; and after, as it may be something else by then
  requireFile(statSync(path));
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(descriptor);
    requireFile(status);
    if (status.size > largest) throw tooLarge();
    // one byte more, which tells the end; sizes in /proc are 0
    let buffer = Buffer.allocUnsafe(Math.max(status.size, 4095) + 1);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += count;
      if (length > largest) throw tooLarge();
      if (count === 0) return { bytes: buffer.subarray(0, length), status };
      if (length === buffer.length) buffer = Buffer.concat([buffer, Buffer.allocUnsafe(buffer.length)]);
    }
  } finally {
    closeSync(descriptor);
  }
}

function requireFile(status: Stats): void {
  if (status.isDirectory()) throw Object.assign(new Error('EISDIR: is a directory'), { code: 'EISDIR' });
  if (!status.isFile()) throw Object.assign(new Error(notRegular), { code: notRegular });
}

function tooLarge(): Error {
  return Object.assign(new Error('EFBIG: larger than expected'), { code: 'EFBIG' });
}
