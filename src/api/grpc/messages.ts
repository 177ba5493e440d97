// Room: api. Owns the conversion of snapshots and mounts to protocol messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Mount, Snapshot, SnapshotKind } from "../../domain/snapshots.ts";
import type { MountSchema } from "./generated/mount_pb.js";
import { type InfoSchema, Kind } from "./generated/snapshots_pb.js";

/** A snapshot from the database or from a job's result. */
type Described = Omit<Snapshot, "parent"> & { readonly parent?: Snapshot["parent"] };

export const infoMessage = (snapshot: Described): MessageInitShape<typeof InfoSchema> => ({
  name: snapshot.key,
  parent: snapshot.parent ?? "",
  kind: kindMessage(snapshot.kind),
  createdAt: timestampFromMs(snapshot.createdAtMs),
  updatedAt: timestampFromMs(snapshot.updatedAtMs),
  labels: snapshot.labels,
});

/** Leaves out `target`, which is for mounts below a container's root: snapmill's mounts are the root itself. */
export const mountMessages = (mounts: readonly Mount[]): MessageInitShape<typeof MountSchema>[] =>
  mounts.map(({ type, source, options }) => ({ type, source, options: [...options] }));

function kindMessage(kind: SnapshotKind): Kind {
  switch (kind) {
    case "view":
      return Kind.VIEW;
    case "active":
      return Kind.ACTIVE;
    case "committed":
      return Kind.COMMITTED;
  }
}
