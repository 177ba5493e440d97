// Room: cli. Owns the resolution of digest prefixes to snapshot names.
import { invalidArgument } from "../../domain/errors.ts";
import type { Scope, SnapshotKey } from "../../domain/identifiers.ts";
import type { Ending } from "../../service/service.ts";
import type { Pool } from "../pool/pool.ts";

const digestBeginning = /^sha256:[0-9a-f]{4,63}$/;

/**
 * Returns `text` if it is a snapshot's name; otherwise, if it is a digest prefix, the only name that begins with it.
 * Returns `text` unchanged if there is no such name. Throws invalid_argument if there are several.
 */
export async function fullName(
  { listSnapshots }: Pick<Pool, "listSnapshots">,
  scope: Scope,
  text: SnapshotKey,
  options?: Ending,
): Promise<SnapshotKey> {
  if (!digestBeginning.test(text)) return text;
  let only: SnapshotKey | undefined;
  // In the order of their names: the one that is `text` itself comes first.
  for await (const { key } of listSnapshots({ scope, filters: [`name~=^${text}`] }, options)) {
    if (key === text) return text;
    if (only !== undefined) throw invalidArgument(`${text} could be ${only} or ${key}: give more of its digits`);
    only = key;
  }
  return only ?? text;
}

/**
 * Returns `text`; for operations that cannot be undone easily. Throws invalid_argument, with the full name, if it is
 * only a prefix of a digest.
 */
export async function requireFullName(
  pool: Pick<Pool, "listSnapshots">,
  scope: Scope,
  text: SnapshotKey,
  options?: Ending,
): Promise<SnapshotKey> {
  const full = await fullName(pool, scope, text, options);
  if (full !== text) throw invalidArgument(`${text} is only the beginning of a name: give it in full, ${full}`);
  return text;
}
