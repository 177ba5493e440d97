// Room: api. Owns Cleanup: what earlier removals left behind goes.
import type { Calls, Context } from "./context.ts";

export const cleanup =
  ({ change }: Context): Calls["cleanup"] =>
  async (_request, caller) => {
    await change("cleanup", {}, caller);
    return {};
  };
