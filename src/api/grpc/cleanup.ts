// Room: api. Owns Cleanup: what earlier removals left behind goes.
import type { Calls, Context } from "./context.ts";

export const cleanup =
  ({ service }: Context): Calls["cleanup"] =>
  async (_request, caller) => {
    await service.change("cleanup", {}, caller);
    return {};
  };
