// Room: service. Owns how a snapshot may be called by the beginning of its digest.
import { invalidArgument } from "../domain/errors.ts";
import type { Scope, SnapshotKey } from "../domain/identifiers.ts";
import { lookUpSnapshot } from "../metadata/snapshots.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import type { Service } from "./service.ts";

const digestBeginning = /^sha256:[0-9a-f]{4,63}$/;

/**
 * The snapshot that `text` means: the one of that name, or else the only one whose name is a digest that begins like
 * this. Text that means none comes back as it is. Throws invalid_argument when it could mean several.
 */
export function fullName({ database }: Pick<Service, "database">, scope: Scope, text: SnapshotKey): SnapshotKey {
  if (!digestBeginning.test(text) || lookUpSnapshot(database(), scope, text) !== undefined) return text;
  const [only, another] = walkSnapshots(database(), { scope, filters: [`name~=^${text}`] });
  if (only === undefined) return text;
  if (another === undefined) return only.key;
  throw invalidArgument(`${text} could be ${only.key} or ${another.key}: give more of its digits`);
}

/**
 * The same text, for what is not undone so easily. Throws invalid_argument, with the name in full, for the beginning of a
 * digest.
 */
export function requireFullName(service: Pick<Service, "database">, scope: Scope, text: SnapshotKey): SnapshotKey {
  const full = fullName(service, scope, text);
  if (full !== text) throw invalidArgument(`${text} is only the beginning of a name: give it in full, ${full}`);
  return text;
}
