// Room: api. Owns Mounts: how an active snapshot or view is mounted.
import { snapshotKey } from "../../domain/identifiers.ts";
import { mountsOf } from "../../metadata/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const mounts =
  ({ scope, database, devicePath }: Context): Calls["mounts"] =>
  ({ key }) => ({ mounts: mountMessages(mountsOf(database(), scope, snapshotKey(key), devicePath)) });
