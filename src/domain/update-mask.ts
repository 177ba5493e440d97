// Room: domain. Owns how an update's field paths change a snapshot's labels.
import { invalidArgument } from "./errors.ts";
import { checkLabels, type Labels } from "./snapshots.ts";

const labelPrefix = "labels.";

/** `labels` without those whose value is empty: an empty value means "no such label". */
export const withoutEmpty = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ""));

/**
 * The labels of a snapshot that has `current` after an update with `given`. Field paths are `labels` (all of them are
 * replaced) and `labels.<name>` (that one is taken from `given`; absent or empty there, it goes); none means `labels`.
 * Throws invalid_argument for any other path: nothing else of a snapshot can be changed.
 */
export function updateLabels(current: Labels, given: Labels, fieldPaths: readonly string[]): Labels {
  let updated = fieldPaths.length === 0 ? given : current;
  for (const path of fieldPaths) {
    if (path === "labels") {
      updated = given;
    } else if (path.startsWith(labelPrefix) && path.length > labelPrefix.length) {
      const name = path.slice(labelPrefix.length);
      updated = { ...updated, [name]: Object.hasOwn(given, name) ? (given[name] ?? "") : "" };
    } else {
      throw invalidArgument(`field ${JSON.stringify(path)} of a snapshot cannot be updated: only labels can`);
    }
  }
  return checkLabels(withoutEmpty(updated));
}
