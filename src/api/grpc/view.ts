// Room: api. Owns View: a new snapshot to be read only.
import * as snapshots from "../../service/snapshots.ts";
import { type Calls, type Context, parentOf } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const view =
  ({ service, scope }: Context): Calls["view"] =>
  async ({ key, parent, labels }, caller) => {
    const { mounts } = await snapshots.view(service, { scope, key, parent: parentOf(parent), labels }, caller);
    return { mounts: mountMessages(mounts) };
  };
