// Room: api. Owns a batch's items of several pools, brought together by image, and its failures by class.
import { isSnapmillError } from "../../../domain/errors.ts";
import type { Output } from "../../../service/api.ts";
import type { Batch } from "./batch-state.tsx";
import type { View } from "./view.ts";

export type Item = Output<"listBatchItems">;

/** A batch in one pool. */
export interface Share {
  readonly pool: string;
  readonly batch: Batch;
  readonly items: readonly Item[];
}

/** One image: what became of it in each pool that was asked for it. */
export interface GridRow {
  readonly reference: string;
  readonly platform: string;
  readonly items: ReadonlyMap<string, Item>;
}

export interface FailureClass {
  /** `unavailable, while fetching`. */
  readonly about: string;
  readonly count: number;
  /** One of its messages. */
  readonly example: string;
}

const most = 10_000;

/** In the pools served here that have it. Throws not_found where none has. */
export async function sharesOf(view: View, batch: string): Promise<readonly Share[]> {
  const found = await Promise.all(view.pools.map((pool) => shareIn(view, pool, batch)));
  const shares = found.filter((share) => share !== undefined);
  // Says so in the operation's own words.
  if (shares.length === 0) await view.read("batch", { batch });
  return shares;
}

async function shareIn(view: View, pool: string, batch: string): Promise<Share | undefined> {
  try {
    const about = await view.read("batch", { batch }, pool);
    const { items } = await view.list("listBatchItems", { batch }, { pool, limit: most });
    return { pool, batch: about, items };
  } catch (error) {
    if (isSnapmillError(error, "not_found")) return undefined;
    throw error;
  }
}

/** In the order of their submission. */
export function gridOf(shares: readonly Share[], state = ""): readonly GridRow[] {
  const rows = new Map<string, { reference: string; platform: string; items: Map<string, Item> }>();
  for (const { pool, items } of shares) {
    for (const item of items) {
      const { reference, platform } = item;
      const name = JSON.stringify([reference, platform]);
      const row = rows.get(name) ?? { reference, platform, items: new Map() };
      row.items.set(pool, item);
      rows.set(name, row);
    }
  }
  return [...rows.values()].filter(
    ({ items }) => state === "" || [...items.values()].some((item) => item.state === state),
  );
}

/** Those with the most items first. */
export function failureClasses(shares: readonly Share[]): readonly FailureClass[] {
  const failures = shares.flatMap(({ items }) =>
    items.flatMap(({ state, failure }) => (state === "failed" && failure ? [failure] : [])),
  );
  const groups = Map.groupBy(failures, ({ code, stage }) => `${code.replaceAll("_", " ")}, stage ${stage}`);
  return [...groups]
    .map(([about, of]) => ({ about, count: of.length, example: of[0]?.message ?? "" }))
    .sort((one, other) => other.count - one.count);
}
