// Room: domain. Owns how an update's field paths change a snapshot's labels.
import { invalidArgument } from "./errors.ts";
import { quoted } from "./quoted.ts";
import { checkLabels, type Labels, labelsOf, maxLabelBytes, maxLabels } from "./snapshots.ts";

const labelPrefix = "labels.";

/** Limits for one update: as many paths as a snapshot can have labels, and as long as their names. */
export const maxFieldPaths = maxLabels;
export const maxFieldPathBytes = labelPrefix.length + maxLabelBytes;

/** `labels` without those whose value is empty: an empty value means "no such label". */
export const withoutEmpty = (labels: Labels): Labels =>
  labelsOf(Object.entries(labels).filter(([, value]) => value !== ""));

/**
 * The labels of a snapshot that has `current` after an update with `given`. Field paths are `labels` (all of them are
 * replaced) and `labels.<name>` (that one is taken from `given`, and removed if it is absent or empty there); none means `labels`.
 * Throws invalid_argument for any other path: only the labels of a snapshot can be changed.
 */
export function updateLabels(current: Labels, given: Labels, fieldPaths: readonly string[]): Labels {
  const wanted = new Map(Object.entries(given));
  let updated = new Map(fieldPaths.length === 0 ? wanted : Object.entries(current));
  for (const path of fieldPaths) {
    if (path === "labels") {
      updated = new Map(wanted);
    } else if (path.startsWith(labelPrefix) && path.length > labelPrefix.length) {
      const name = path.slice(labelPrefix.length);
      updated.set(name, wanted.get(name) ?? "");
    } else {
      throw invalidArgument(`field ${quoted(path)} of a snapshot cannot be updated: only labels can`);
    }
  }
  return checkLabels(withoutEmpty(labelsOf(updated)));
}
