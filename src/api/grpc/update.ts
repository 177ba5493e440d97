// Room: api. Owns Update: the labels of a snapshot change.
import { invalidArgument } from "../../domain/errors.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";
import { infoMessage } from "./messages.ts";

export const update =
  ({ service, scope }: Context): Calls["update"] =>
  async ({ info, updateMask }, caller) => {
    if (info === undefined) throw invalidArgument("an update needs the snapshot's info, with its name and labels");
    const { name: key, labels } = info;
    const updated = await snapshots.update(
      service,
      { scope, key, labels, fieldPaths: updateMask?.paths ?? [] },
      caller,
    );
    return { info: infoMessage(updated) };
  };
