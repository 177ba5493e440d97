// Room: cli. Owns how lists of snapshots and mounts are shown, as tables and as JSON.
import type { Mount, Snapshot } from "../../domain/snapshots.ts";
import { formatLabels, formatTime, shortDigests } from "./format.ts";
import type { Listing } from "./output.ts";

/** A snapshot from the database or from a job's result. */
type Told = Omit<Snapshot, "parent"> & { readonly parent?: Snapshot["parent"] };

/** A snapshot's JSON always has every field: a base's `parent` is null. */
export const snapshotJson = ({ scope, key, kind, parent, labels, createdAtMs, updatedAtMs }: Told) => ({
  scope,
  key,
  kind,
  parent: parent ?? null,
  labels,
  createdAtMs,
  updatedAtMs,
});

export function snapshotListing(options: { readonly full?: true; readonly labels?: true }): Listing<Told> {
  const name = options.full ? (text: string) => text : shortDigests;
  const titles = ["NAME", "KIND", "PARENT", "CREATED", "UPDATED", ...(options.labels ? ["LABELS"] : [])];
  return {
    columns: titles.map((title) => ({ title })),
    row: ({ key, kind, parent, labels, createdAtMs, updatedAtMs }) => [
      name(key),
      kind,
      parent === undefined ? "-" : name(parent),
      formatTime(createdAtMs),
      formatTime(updatedAtMs),
      ...(options.labels ? [formatLabels(labels)] : []),
    ],
    json: snapshotJson,
  };
}

export const mountListing: Listing<Mount> = {
  columns: [{ title: "TYPE" }, { title: "SOURCE" }, { title: "OPTIONS" }],
  row: ({ type, source, options }) => [type, source, options.join(",")],
  json: (mount) => mount,
};
