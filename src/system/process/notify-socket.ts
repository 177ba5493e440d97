// Room: system. Owns datagrams to a UNIX socket, which a service manager listens on: sd_notify(3).
import { FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { checked, errno, openLibc, SystemCallError } from "../ffi/libc.ts";

const libc = openLibc({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64_fast, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64_fast,
  },
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});

const afUnix = 1;
const sockDgram = 2;
const sockCloexec = 0o2000000;
const msgDontWait = 0x40;
const msgNoSignal = 0x4000;
const clockMonotonic = 1;
/** sizeof(sockaddr_un.sun_path): unix(7). */
const maxPathBytes = 108;
const eAgain = 11;
const eNoBufs = 105;

/** A socket by its path, or by its name in the abstract namespace, written with an `@`. */
export class NotifySocket implements Disposable {
  readonly #name: string;
  readonly #address: Buffer;
  readonly #fd: number;

  /** Throws SystemCallError, and RangeError for a name that no UNIX socket can have. */
  constructor(name: string) {
    this.#name = name;
    this.#address = addressOf(name);
    this.#fd = checked(libc.socket(afUnix, sockDgram | sockCloexec, 0), "socket", name);
  }

  /** Whether `text` was taken; false: the receiver has no room at the moment. Never waits. Throws SystemCallError. */
  send(text: string): boolean {
    const bytes = Buffer.from(text);
    const flags = msgDontWait | msgNoSignal;
    const { length } = this.#address;
    if (Number(libc.sendto(this.#fd, ptr(bytes), bytes.length, flags, ptr(this.#address), length)) >= 0) return true;
    const code = errno();
    if (code === eAgain || code === eNoBufs) return false;
    throw new SystemCallError("sendto", this.#name, code);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function addressOf(name: string): Buffer {
  const isAbstract = name.startsWith("@");
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : `${name}\0`);
  if (!/^[/@]./.test(name) || path.length > maxPathBytes) {
    throw new RangeError(`${JSON.stringify(name)} is not the name of a UNIX socket: give a path, or @NAME`);
  }
  const family = Buffer.alloc(2);
  family.writeUInt16LE(afUnix);
  return Buffer.concat([family, path]);
}

/** CLOCK_MONOTONIC, as service managers read it. */
export function monotonicUs(): bigint {
  const time = Buffer.alloc(16);
  checked(libc.clock_gettime(clockMonotonic, ptr(time)), "clock_gettime", "CLOCK_MONOTONIC");
  return time.readBigInt64LE(0) * 1_000_000n + time.readBigInt64LE(8) / 1_000n;
}
