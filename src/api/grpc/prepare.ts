// Room: api. Owns Prepare: a new snapshot to be written to.
import * as snapshots from "../../service/snapshots.ts";
import { type Calls, type Context, parentOf } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const prepare =
  ({ service, scope }: Context): Calls["prepare"] =>
  async ({ key, parent, labels }, caller) => {
    const { mounts } = await snapshots.prepare(service, { scope, key, parent: parentOf(parent), labels }, caller);
    return { mounts: mountMessages(mounts) };
  };
