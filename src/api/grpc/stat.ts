// Room: api. Owns Stat: what is known of one snapshot.
import { snapshotKey } from "../../domain/identifiers.ts";
import { findSnapshot } from "../../metadata/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { infoMessage } from "./messages.ts";

export const stat =
  ({ scope, database }: Context): Calls["stat"] =>
  ({ key }) => ({ info: infoMessage(findSnapshot(database(), scope, snapshotKey(key))) });
