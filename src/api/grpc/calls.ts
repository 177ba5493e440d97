// Room: api. Owns the ten calls of containerd's snapshots service: each parses its request, calls an operation and
// answers.
import { invalidArgument } from "../../domain/errors.ts";
import { snapshotKey } from "../../domain/identifiers.ts";
import { cleanup } from "../../service/removals.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { list } from "./list.ts";
import { infoMessage, mountMessages } from "./messages.ts";

export const callsOn = (context: Context): Calls => {
  const { service, scope } = context;
  return {
    prepare: async ({ key, parent, labels }, caller) => {
      const { mounts } = await snapshots.prepare(service, { scope, key, parent: parentOf(parent), labels }, caller);
      return { mounts: mountMessages(mounts) };
    },
    view: async ({ key, parent, labels }, caller) => {
      const { mounts } = await snapshots.view(service, { scope, key, parent: parentOf(parent), labels }, caller);
      return { mounts: mountMessages(mounts) };
    },
    mounts: ({ key }) => ({
      mounts: mountMessages(snapshots.mounts(service, { scope, key: snapshotKey(key) }).mounts),
    }),
    commit: async ({ name, key, labels, parent }, caller) => {
      if (parent !== "") refuseAnotherParent(context, key, parent);
      await snapshots.commit(service, { scope, name, key, labels }, caller);
      return {};
    },
    remove: async ({ key }, caller) => {
      await snapshots.remove(service, { scope, key }, caller);
      return {};
    },
    stat: ({ key }) => ({ info: infoMessage(snapshots.stat(service, { scope, key: snapshotKey(key) })) }),
    update: async ({ info, updateMask }, caller) => {
      if (info === undefined) throw invalidArgument("an update needs the snapshot's info, with its name and labels");
      const { name: key, labels } = info;
      const fieldPaths = updateMask?.paths ?? [];
      const updated = await snapshots.update(service, { scope, key, labels, fieldPaths }, caller);
      return { info: infoMessage(updated) };
    },
    list: list(context),
    usage: async ({ key }) => {
      const { sizeBytes, inodes } = await snapshots.usage(service, { scope, key: snapshotKey(key) });
      return { size: BigInt(sizeBytes), inodes: BigInt(inodes) };
    },
    cleanup: async (_request, caller) => {
      await cleanup(service, {}, caller);
      return {};
    },
  };
};

/** On the wire, an empty string means no parent. */
const parentOf = (text: string): string | undefined => (text === "" ? undefined : text);

/**
 * containerd 2.2 unpacks an image's layers in parallel if the snapshotter can set a layer's parent at commit. A block
 * device has its parent's content from the start, so a client that asks for another parent gets an error.
 */
function refuseAnotherParent({ service, scope }: Context, key: string, parent: string): void {
  const snapshot = snapshots.stat(service, { scope, key: snapshotKey(key) });
  if (snapshot.parent === parent) return;
  throw invalidArgument(
    `snapshot ${JSON.stringify(key)} cannot be committed onto ${JSON.stringify(parent)}: prepare it with that parent`,
  );
}
