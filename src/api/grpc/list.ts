// Room: api. Owns List: the snapshots that match the filters, in several messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Snapshot } from "../../domain/snapshots.ts";
import * as snapshots from "../../service/snapshots.ts";
import { breath, type Calls, type Context } from "./context.ts";
import type { InfoSchema } from "./generated/snapshots_pb.js";
import { infoMessage } from "./messages.ts";

/** containerd puts as many into one message. */
const blockInfos = 100;
/** Clients refuse messages of more than 4 MiB, and a single snapshot may have many labels. */
const blockCharacters = 2 ** 19;

export const list = ({ service, scope }: Context): Calls["list"] =>
  function* ({ filters }) {
    let info: MessageInitShape<typeof InfoSchema>[] = [];
    let characters = 0;
    for (const page of snapshots.list(service, { scope, filters })) {
      for (const snapshot of page) {
        const added = charactersOf(snapshot);
        if (info.length === blockInfos || (info.length > 0 && characters + added > blockCharacters)) {
          yield { info };
          info = [];
          characters = 0;
        }
        info.push(infoMessage(snapshot));
        characters += added;
      }
      yield breath;
    }
    if (info.length > 0) yield { info };
  };

function charactersOf({ key, parent, labels }: Snapshot): number {
  let characters = key.length + (parent?.length ?? 0);
  for (const [name, value] of Object.entries(labels)) characters += name.length + value.length;
  return characters;
}
