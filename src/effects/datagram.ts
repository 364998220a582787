/** What Bun has built in; only what is used here. */
interface Ffi {
  dlopen(
    library: string,
    functions: Readonly<Record<string, { readonly args: readonly string[]; readonly returns: string }>>,
  ): { readonly symbols: Readonly<Record<string, (...args: readonly unknown[]) => number | bigint>> };
  ptr(bytes: Uint8Array): number;
}

const unixFamily = 1;
const datagramType = 2;
const closeOnExec = 0o2000000;
const dontWait = 0x40;
const noSignal = 0x4000;

let libc: { readonly ffi: Ffi; readonly symbols: ReturnType<Ffi['dlopen']>['symbols'] } | undefined;
let tried = false;

/**
 * Sends a datagram to a socket of unix(7): neither Node nor Bun can by themselves, so that this calls the C
 * library. Never waits, never throws.
 *
 * @param path of the socket; one that begins with `@` is in the abstract namespace
 * @returns whether it was sent; never without a JIT compiler (`MemoryDenyWriteExecute=`) or outside of Bun
 */
export function sendDatagram(path: string, bytes: Uint8Array): boolean {
  const name = Buffer.from(path);
  // struct sockaddr_un, with 108 bytes for the path
  if (name.length === 0 || name.length >= 108 || bytes.length === 0) return false;
  const library = open();
  if (!library) return false;
  const { ffi, symbols } = library;
  const descriptor = Number(symbols['socket']?.(unixFamily, datagramType | closeOnExec, 0) ?? -1);
  if (descriptor < 0) return false;
  try {
    const address = new Uint8Array(2 + 108);
    new Uint16Array(address.buffer)[0] = unixFamily;
    address.set(name, 2);
    const abstract = path.startsWith('@');
    if (abstract) address[2] = 0;
    const length = 2 + name.length + (abstract ? 0 : 1);
    const sent = symbols['sendto']?.(
      descriptor,
      ffi.ptr(bytes),
      bytes.length,
      dontWait | noSignal,
      ffi.ptr(address),
      length,
    );
    return Number(sent ?? -1) === bytes.length;
  } finally {
    symbols['close']?.(descriptor);
  }
}

function open(): typeof libc {
  if (tried) return libc;
  tried = true;
  try {
    const ffi = process.getBuiltinModule('bun:ffi') as unknown as Ffi | undefined;
    if (!ffi) return undefined;
    const { symbols } = ffi.dlopen('libc.so.6', {
      socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
      sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: 'i64' },
      close: { args: ['i32'], returns: 'i32' },
    });
    libc = { ffi, symbols };
  } catch {
    // no JIT compiler, or another C library
  }
  return libc;
}
