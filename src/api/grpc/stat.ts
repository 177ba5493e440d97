// Room: api. Owns Stat: what is known of one snapshot.
import { snapshotKey } from "../../domain/identifiers.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { infoMessage } from "./messages.ts";

export const stat =
  ({ service, scope }: Context): Calls["stat"] =>
  ({ key }) => ({ info: infoMessage(snapshots.stat(service, { scope, key: snapshotKey(key) })) });
