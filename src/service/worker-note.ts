// Room: service. Owns the reading of what a pool's worker notes of itself: which operation it has in hand, and since when.
import { statSync } from "node:fs";
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { readNote } from "../system/file/note.ts";

const note = z.object({ operations: z.array(z.object({ operationId: z.string(), job: z.string() })) });

export interface OperationInHand {
  readonly operationId: string;
  readonly job: string;
  readonly sinceMs: number;
}

/** Undefined: it waits for work, or has not noted anything. Only true of a worker that runs. */
export function operationInHand(config: Config): OperationInHand | undefined {
  const path = paths.poolNote(config);
  try {
    // Before the note: a newer one is not given an older time.
    const writtenMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    // Of those that share a commit, the last one is that with effects on devices.
    const last = note.parse(JSON.parse(readNote(path) ?? "null")).operations.at(-1);
    return last === undefined || writtenMs === undefined ? undefined : { ...last, sinceMs: Math.round(writtenMs) };
  } catch {
    return undefined;
  }
}
