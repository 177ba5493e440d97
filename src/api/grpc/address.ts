// Room: api. Owns the check of the address at which containerd is served.
import { invalidArgument } from "../../domain/errors.ts";

/** A UNIX socket's path has 108 bytes, the last of which is a NUL (unix(7)). */
const maxPathBytes = 107;

/** Returns `path`; throws invalid_argument if it is too long for a socket. */
export function checkAddress(path: string): string {
  const lengthBytes = Buffer.byteLength(path);
  if (lengthBytes <= maxPathBytes) return path;
  throw invalidArgument(
    `the socket for containerd cannot be ${path}: a socket's path has at most ${maxPathBytes} bytes, this one ` +
      `${lengthBytes}; give a shorter one with --grpc-address (SNAPMILL_GRPC_ADDRESS), or "" for none`,
  );
}
