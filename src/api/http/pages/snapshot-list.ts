// Room: api. Owns the reading of all snapshots of a scope for a page, and of the space that some of them take.
import { isSnapmillError } from "../../../domain/errors.ts";
import { containerdScope, ownScope } from "../../../domain/identifiers.ts";
import type { Output } from "../../../service/api.ts";
import type { View } from "./view.ts";

export type ListedSnapshot = Output<"listSnapshots">;

export const scopes: readonly string[] = [ownScope, containerdScope];

/** More than this many are not shown: a page has to be made within a second. */
export const mostSnapshots = 50_000;

export const scopeIn = (view: View): string => view.query("scope") || ownScope;

export const allSnapshots = (view: View, scope: string, pool = view.pool) =>
  view.list("listSnapshots", { scope }, { limit: mostSnapshots, pool });

/** What committed snapshots hold of their own, as measured at their commits: no device is asked. */
export class CommittedBytes {
  readonly #view: View;
  readonly #byKey = new Map<string, number>();
  readonly #snapshots: ReadonlyMap<string, ListedSnapshot>;

  constructor(view: View, snapshots: readonly ListedSnapshot[]) {
    this.#view = view;
    this.#snapshots = new Map(snapshots.map((snapshot) => [snapshot.key, snapshot]));
  }

  /** Undefined: it is not committed, or gone by now. */
  async own({ scope, key, kind }: ListedSnapshot): Promise<number | undefined> {
    if (kind !== "committed") return undefined;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    try {
      const { sizeBytes } = await this.#view.read("usage", { scope, key });
      this.#byKey.set(key, sizeBytes);
      return sizeBytes;
    } catch (error) {
      if (isSnapmillError(error, "not_found")) return undefined;
      throw error;
    }
  }

  /** What it has of its parents. */
  async inherited({ parent }: ListedSnapshot): Promise<number> {
    let bytes = 0;
    for (let key = parent; key !== undefined; ) {
      const snapshot: ListedSnapshot | undefined = this.#snapshots.get(key);
      if (snapshot === undefined) break;
      bytes += (await this.own(snapshot)) ?? 0;
      key = snapshot.parent;
    }
    return bytes;
  }
}
