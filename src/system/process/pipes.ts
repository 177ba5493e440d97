// Room: system. Owns pipes whose reading end another process opens by a path, and whose writer waits when they are full.
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
/** What one may ask for without privileges (fs.pipe-max-size); with less there are more turns. */
const pipeBytes = 1 << 20;

/** Disposing of it closes both ends: a reader that has the pipe open then comes to its end. */
export interface Pipe extends AsyncDisposable {
  /** Of the reading end, for other processes; good until the pipe is disposed of. */
  readonly path: string;
  /** Resolves when there is room for more; false when nobody will read any more of it. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Nothing more will be written: the reader comes to its end behind what it has not read yet. */
  end(): Promise<void>;
}

export function openPipe(): Pipe {
  const ends = new Int32Array(2);
  checked(libc.pipe2(ends, closeOnExec), "pipe2", "");
  const [readEnd = -1, writeEnd = -1] = ends;
  // A smaller pipe does as well: a user's pipes may have taken all that they may.
  libc.fcntl(writeEnd, setPipeSize, pipeBytes);
  const sink = Bun.file(writeEnd).writer();
  const closed = Promise.withResolvers<void>();
  let isEnded = false;
  let isClosed = false;

  /** Waits for the reader, but not for one that does not read any more when the pipe is closed. */
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
      // The reading end first: what is still being written then fails instead of waiting.
      closeSync(readEnd);
      closed.resolve();
      await end();
    },
  };
}
