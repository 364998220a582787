import { sendDatagram } from './datagram.ts';

/**
 * Tells systemd about the service that this process is the main process of, as sd_notify(3) describes;
 * nothing happens where nobody listens. A reload has no such socket (`NotifyAccess=main`).
 */
export function notify(message: {
  /** One line for `systemctl status`. */
  readonly status?: string;
  /** How much longer than now the start may take, in milliseconds. */
  readonly extendTimeout?: number;
}): void {
  const socket = process.env['NOTIFY_SOCKET'];
  if (socket === undefined) return;
  const { status, extendTimeout } = message;
  const lines = [
    ...(status === undefined ? [] : [`STATUS=${status.replaceAll('\n', ' ')}`]),
    // systemd takes whole numbers only
    ...(extendTimeout === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${Math.ceil(extendTimeout) * 1000}`]),
  ];
  sendDatagram(socket, Buffer.from(lines.join('\n')));
}
