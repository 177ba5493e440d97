// Room: system. Owns the path of a UNIX socket: one process at a time listens, and a dead process's socket is replaced.
import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../ffi/errno.ts";
import { isLock, tryLockAfterDeath } from "./locks.ts";
import { requireUnshared } from "./shared-paths.ts";

/** A free path for a socket. Disposing of it deletes the socket. */
export interface SocketPath extends Disposable {
  readonly path: string;
}

/**
 * Makes `path` free for a socket of this process, with the directories above it. A socket on which no process listens any
 * more is replaced; failed_precondition when one does, when something else is there, or when other users of the host could
 * put something there.
 */
export async function claimSocketPath(path: string): Promise<SocketPath> {
  const directory = dirname(path);
  requireUnshared(directory);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Again: another user could have made meanwhile what did not exist before.
  requireUnshared(directory);
  // Otherwise two processes that start together both find a dead socket, and the second deletes the first one's new socket.
  const lock = await tryLockAfterDeath(`${path}.lock`, JSON.stringify({ pid: process.pid }));
  if (!isLock(lock)) throw failedPrecondition(`another snapmill (${lock.heldBy}) listens at ${path}: use another path`);
  try {
    await clear(path);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return {
    path,
    [Symbol.dispose]: () => {
      deleteSocket(path);
      lock[Symbol.dispose]();
    },
  };
}

async function clear(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw failedPrecondition(`${path} exists and is not a socket: delete it, or use another path`);
  if (await isListening(path)) {
    throw failedPrecondition(`another program listens at ${path}: stop it, or use another path`);
  }
  deleteSocket(path);
}

function isListening(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once("connect", () => resolve(true));
  socket.once("error", (error) => {
    if (isErrno(error, "ECONNREFUSED", "ENOENT")) resolve(false);
    else reject(failedPrecondition(`cannot tell whether a process listens at ${path}: ${error.message}`, error));
  });
  return promise.finally(() => socket.destroy());
}

function deleteSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
  }
}
