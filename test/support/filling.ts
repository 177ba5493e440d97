// Room: test. Owns the filling of a real pool: by writes to the device of a snapshot, as a container's would be.
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { RunningApi } from "../api/v1/running-api.ts";

/** Beyond the file system's own records at its beginning. */
const fromBytes = 2 ** 24;

/** Writes to the device of the active snapshot `key` until this share of the pool is in use. */
export async function filling(api: RunningApi, key: string, share: number, mostBytes = 480 * 2 ** 20): Promise<void> {
  const { body } = await api.pool(`/snapshots/${key}/mounts`);
  const fd = openSync(body.mounts[0].source, "r+");
  try {
    for (let at = fromBytes, used = await usedOf(api); at < mostBytes; used = await usedOf(api)) {
      const missing = Math.ceil((share * used.totalBytes - used.usedBytes) / 2 ** 20);
      if (missing <= 0) return;
      const chunk = randomBytes(Math.min(16, Math.max(1, Math.floor(missing / 2))) * 2 ** 20);
      writeSync(fd, chunk, 0, chunk.length, at);
      fsyncSync(fd);
      at += chunk.length;
    }
  } finally {
    closeSync(fd);
  }
}

const usedOf = async (api: RunningApi): Promise<{ readonly usedBytes: number; readonly totalBytes: number }> =>
  (await api.pool("/status")).body.metadata.space;
