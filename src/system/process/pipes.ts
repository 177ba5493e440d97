// Room: system. Owns pipes whose reading end another process opens by a path; their writer waits while they are full.
import { FFIType } from "bun:ffi";
import { closeSync } from "node:fs";
import { isErrno } from "../ffi/errno.ts";
import { checked, openLibc } from "../ffi/libc.ts";

const libc = openLibc({
  pipe2: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});
const closeOnExec = 0o2000000;
const setPipeSize = 1031;
/** The most that is allowed without privileges (fs.pipe-max-size); a smaller pipe needs more switches. */
const pipeBytes = 1 << 20;

/** Disposing of it closes both ends: a reader that has the pipe open then reads end of file. */
export interface Pipe extends AsyncDisposable {
  /** The reading end's path for other processes, valid until the pipe is disposed of. */
  readonly path: string;
  /** Resolves when there is room for more; false when its reader has closed it. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Ends the stream: the reader gets what it has not read yet, then end of file. */
  end(): Promise<void>;
}

export function openPipe(): Pipe {
  const ends = new Int32Array(2);
  checked(libc.pipe2(ends, closeOnExec), "pipe2", "");
  const [readEnd = -1, writeEnd = -1] = ends;
  // A smaller pipe works as well: the user's pipes may have reached their limit.
  libc.fcntl(writeEnd, setPipeSize, pipeBytes);
  const sink = Bun.file(writeEnd).writer();
  const closed = Promise.withResolvers<void>();
  let isEnded = false;
  let isClosed = false;

  /** Waits for the reader, but not for one that has stopped reading when the pipe is closed. */
  async function patiently(work: () => unknown): Promise<boolean> {
    try {
      await Promise.race([work(), closed.promise]);
      return !isClosed;
    } catch (error) {
      if (isErrno(error, "EPIPE", "EBADF")) return false;
      throw error;
    }
  }

  async function end(): Promise<void> {
    if (isEnded) return;
    isEnded = true;
    await patiently(() => sink.end());
    closeSync(writeEnd);
  }

  return {
    path: `/proc/${process.pid}/fd/${readEnd}`,
    write: (bytes) =>
      patiently(async () => {
        await sink.write(bytes);
        await sink.flush();
      }),
    end,
    [Symbol.asyncDispose]: async () => {
      if (isClosed) return;
      isClosed = true;
      // The reading end first: a write that is in flight then fails instead of waiting.
      closeSync(readEnd);
      closed.resolve();
      await end();
    },
  };
}
