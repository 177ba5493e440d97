// Room: api. Owns Prepare: a new snapshot to be written to.
import { type Calls, type Context, parentOf } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const prepare =
  ({ scope, change }: Context): Calls["prepare"] =>
  async ({ key, parent, labels }, caller) => {
    const { mounts } = await change("prepare", { scope, key, parent: parentOf(parent), labels }, caller);
    return { mounts: mountMessages(mounts) };
  };
