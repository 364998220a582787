import { sendDatagram } from './datagram.ts';

/**
 * Tells systemd about the service that this process is the main process of, as sd_notify(3) describes;
 * nothing happens where nobody listens. A reload has no such socket (`NotifyAccess=main`).
 */
export function notify(
  assignments:
    | Readonly<Record<'STATUS' | 'EXTEND_TIMEOUT_USEC', string>>
    | { readonly STATUS: string }
    | { readonly EXTEND_TIMEOUT_USEC: string },
): void {
  const socket = process.env['NOTIFY_SOCKET'];
  if (socket === undefined) return;
  const lines = Object.entries(assignments).map(
    ([name, value]) => `${name}=${value.replaceAll('\n', ' ')}\n`,
  );
  sendDatagram(socket, Buffer.from(lines.join('')));
}
