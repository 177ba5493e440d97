// Room: api. Owns Remove: a snapshot goes.
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";

export const remove =
  ({ service, scope }: Context): Calls["remove"] =>
  async ({ key }, caller) => {
    await snapshots.remove(service, { scope, key }, caller);
    return {};
  };
