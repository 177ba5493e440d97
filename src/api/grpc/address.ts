// Room: api. Owns the address that containerd finds the service at.
import { invalidArgument } from "../../domain/errors.ts";

/** A UNIX socket's path stands in 108 bytes, the last of which is a NUL (unix(7)). */
const maxPathBytes = 107;

/** `path` as it is, or invalid_argument when no socket can have it. */
export function checkAddress(path: string): string {
  const lengthBytes = Buffer.byteLength(path);
  if (lengthBytes <= maxPathBytes) return path;
  throw invalidArgument(
    `the socket for containerd cannot be ${path}: a socket's path has at most ${maxPathBytes} bytes, this one ` +
      `${lengthBytes}; give a shorter one with --grpc-address (SNAPMILL_GRPC_ADDRESS), or "" for none`,
  );
}
