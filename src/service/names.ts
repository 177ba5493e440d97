// Room: service. Owns the resolution of digest prefixes to snapshot names.
import { invalidArgument } from "../domain/errors.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import { lookUpSnapshot } from "../metadata/snapshots.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import type { Service } from "./service.ts";

const digestBeginning = /^sha256:[0-9a-f]{4,63}$/;

/**
 * Returns `text` if it is a snapshot's name; otherwise, if it is a digest prefix, the only name that begins with it.
 * Returns `text` unchanged if there is no such name. Throws invalid_argument if there are several.
 */
export function fullName({ database }: Pick<Service, "database">, scope: Scope, text: SnapshotKey): SnapshotKey {
  if (!digestBeginning.test(text) || lookUpSnapshot(database(), scope, text) !== undefined) return text;
  const [only, another] = walkSnapshots(database(), { scope, filters: [`name~=^${text}`] });
  if (only === undefined) return text;
  if (another === undefined) return only.key;
  throw invalidArgument(`${text} could be ${only.key} or ${another.key}: give more of its digits`);
}

/**
 * Returns `text`; for operations that cannot be undone easily. Throws invalid_argument, with the full name, if it is
 * only a prefix of a digest.
 */
export function requireFullName(service: Pick<Service, "database">, scope: Scope, text: SnapshotKey): SnapshotKey {
  const full = fullName(service, scope, text);
  if (full !== text) throw invalidArgument(`${text} is only the beginning of a name: give it in full, ${full}`);
  return text;
}
