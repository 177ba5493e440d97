// Room: api. Owns the service as a whole: its ten calls.
import { cleanup } from "./cleanup.ts";
import { commit } from "./commit.ts";
import type { Calls, Context } from "./context.ts";
import { list } from "./list.ts";
import { mounts } from "./mounts.ts";
import { prepare } from "./prepare.ts";
import { remove } from "./remove.ts";
import { stat } from "./stat.ts";
import { update } from "./update.ts";
import { usage } from "./usage.ts";
import { view } from "./view.ts";

export const callsOn = (context: Context): Calls => ({
  prepare: prepare(context),
  view: view(context),
  mounts: mounts(context),
  commit: commit(context),
  remove: remove(context),
  stat: stat(context),
  update: update(context),
  list: list(context),
  usage: usage(context),
  cleanup: cleanup(context),
});
