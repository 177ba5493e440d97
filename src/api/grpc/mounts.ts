// Room: api. Owns Mounts: how an active snapshot or view is mounted.
import { snapshotKey } from "../../domain/identifiers.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const mounts =
  ({ service, scope }: Context): Calls["mounts"] =>
  ({ key }) => ({ mounts: mountMessages(snapshots.mounts(service, { scope, key: snapshotKey(key) }).mounts) });
