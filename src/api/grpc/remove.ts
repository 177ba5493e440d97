// Room: api. Owns Remove: a snapshot goes.
import type { Calls, Context } from "./context.ts";

export const remove =
  ({ scope, change }: Context): Calls["remove"] =>
  async ({ key }, caller) => {
    await change("remove", { scope, key }, caller);
    return {};
  };
