// Room: api. Owns View: a new snapshot to be read only.
import { type Calls, type Context, parentOf } from "./context.ts";
import { mountMessages } from "./messages.ts";

export const view =
  ({ scope, change }: Context): Calls["view"] =>
  async ({ key, parent, labels }, caller) => {
    const { mounts } = await change("view", { scope, key, parent: parentOf(parent), labels }, caller);
    return { mounts: mountMessages(mounts) };
  };
