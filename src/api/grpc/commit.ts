// Room: api. Owns Commit: an active snapshot gets a name, and becomes something to build on.
import { invalidArgument } from "../../domain/errors.ts";
import { snapshotKey } from "../../domain/identifiers.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";

export const commit =
  (context: Context): Calls["commit"] =>
  async ({ name, key, labels, parent }, caller) => {
    if (parent !== "") refuseAnotherParent(context, key, parent);
    await snapshots.commit(context.service, { scope: context.scope, name, key, labels }, caller);
    return {};
  };

/**
 * containerd 2.2 unpacks an image's layers side by side where the snapshotter can put one on top of another at commit.
 * A block device has its parent's content from the start; a client that asks for it all the same must hear of it.
 */
function refuseAnotherParent({ service, scope }: Context, key: string, parent: string): void {
  const snapshot = snapshots.stat(service, { scope, key: snapshotKey(key) });
  if (snapshot.parent === parent) return;
  throw invalidArgument(
    `snapshot ${JSON.stringify(key)} cannot be committed onto ${JSON.stringify(parent)}: prepare it with that parent`,
  );
}
