// Room: service. Owns removals as whoever is on call needs them: by what keeps the devices, and then by who holds them.
import { z } from "zod";
import type { RemovalRecord } from "../metadata/pending-removals.ts";
import { type HeldBy, holder } from "./holders.ts";
import { operation } from "./operation.ts";
import {
  heldByEach,
  holderId,
  holderIds,
  matchingRemovals,
  nobody,
  removalFilter,
  setOf,
  stateOf,
} from "./removal-filter.ts";
import { describedRemoval, freedBytes, removal } from "./removals.ts";
import type { Service } from "./service.ts";

const mostTroubles = 20;
const mostHolders = 20;
const mostRemovals = 100;

const told = z.object({
  count: z.number().int(),
  /** What they would free, as far as it was measured. */
  bytes: z.number(),
  /** The hash of all of them, for `ifSet`. */
  set: z.string(),
});

const heldGroup = told.extend({
  /** For the filter `holder`; `nobody`, or `unknown` where nobody was looked for or the search was not complete. */
  id: z.string(),
  /** Of a process that has them mounted or open, or of what else holds them; null: none that is known. */
  holder: holder.omit({ mountPoint: true }).nullable(),
  /** The first of them by age, as many as were asked for. */
  removals: z.array(removal),
});
export type HeldRemovals = z.output<typeof heldGroup>;

const troubleGroup = told.extend({
  trouble: z.string(),
  /** Nobody first, then the one that holds most of them. A device that several hold is told of each of them. At most 20. */
  holders: z.array(heldGroup),
  moreHolders: z.number().int(),
});

/** The removals that a filter finds; at most 20 troubles, that of most of them first. */
export const removalGroups = operation(
  {
    input: removalFilter.extend({
      /** How many removals of each group are told themselves. */
      removals: z.number().int().min(0).max(mostRemovals).prefault(10),
    }),
    output: told.extend({
      states: z.object({ pending: z.number(), failed: z.number(), discarded: z.number() }),
      troubles: z.array(troubleGroup),
      moreTroubles: z.number().int(),
    }),
  },
  async (service: Pick<Service, "database" | "devicePath">, { removals: shown, ...filter }) => {
    const records = await matchingRemovals(service, filter);
    const held = await heldByEach(service, records);
    const groups = grouped(records, (record) => [describedRemoval(record, undefined).trouble]);
    const states = { pending: 0, failed: 0, discarded: 0 };
    for (const record of records) states[stateOf(record)] += 1;
    return {
      ...totals(records),
      states,
      troubles: groups.slice(0, mostTroubles).map(([trouble, members]) => {
        const idsOf = ({ device }: RemovalRecord) => holderIds(held.get(device) ?? null);
        const holders = nobodyFirst(grouped(members, idsOf)).filter(
          ([id]) => filter.holder === undefined || id === filter.holder,
        );
        return {
          trouble,
          ...totals(members),
          holders: holders.slice(0, mostHolders).map(([id, ofHolder]) => ({
            id,
            ...totals(ofHolder),
            holder: holderIn(held.get(ofHolder[0]?.device ?? ("" as never)), id),
            removals: ofHolder.slice(0, shown).map((record) => describedRemoval(record, held.get(record.device))),
          })),
          moreHolders: Math.max(0, holders.length - mostHolders),
        };
      }),
      moreTroubles: Math.max(0, groups.length - mostTroubles),
    };
  },
);

const totals = (records: readonly RemovalRecord[]): z.output<typeof told> => ({
  count: records.length,
  bytes: records.reduce((sum, record) => sum + (freedBytes(record) ?? 0), 0),
  set: setOf(records.map(({ device }) => device)),
});

/** What only has to be tried again. */
const nobodyFirst = (groups: ReturnType<typeof grouped>): ReturnType<typeof grouped> =>
  groups.toSorted(([one], [other]) => Number(other === nobody) - Number(one === nobody));

/** The largest first. */
function grouped(
  records: readonly RemovalRecord[],
  namesOf: (record: RemovalRecord) => readonly string[],
): (readonly [string, readonly RemovalRecord[]])[] {
  const groups = new Map<string, RemovalRecord[]>();
  for (const record of records) {
    for (const name of namesOf(record)) {
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [record]);
      else group.push(record);
    }
  }
  return [...groups].sort(([, one], [, other]) => other.length - one.length);
}

function holderIn(heldBy: HeldBy | undefined, id: string): HeldRemovals["holder"] {
  const found = heldBy?.holders.find((each) => holderId(each) === id);
  if (found === undefined) return null;
  const { mountPoint: _place, ...rest } = found;
  return rest;
}
