// Room: api. Owns snapshots as a tree: its rows in order, what a search leaves of it, and one page of it.

/** What a tree is made of. */
export interface Node {
  readonly key: string;
  readonly parent?: string | undefined;
}

export interface TreeRow<Item extends Node> {
  readonly item: Item;
  /** 0: it has no parent. */
  readonly depth: number;
  readonly children: number;
  /** Whether the search has found it, and not only something above it. */
  readonly isMatch: boolean;
}

/** Each below its parent, by key. With `matches`: those that match, and what is under them down to the root. */
export function treeRows<Item extends Node>(
  items: readonly Item[],
  matches?: (item: Item) => boolean,
): TreeRow<Item>[] {
  const byKey = new Map(items.map((item) => [item.key, item]));
  const below = Map.groupBy(items, ({ parent }) => (parent !== undefined && byKey.has(parent) ? parent : ""));
  const found = matches && new Set(items.filter(matches));
  const kept = found && withAncestors(found, byKey);
  const rows: TreeRow<Item>[] = [];
  // A stack of its own: a chain of snapshots may be deeper than that of calls.
  const waiting = (below.get("") ?? []).toReversed().map((item) => ({ item, depth: 0 }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { item, depth } = next;
    if (kept?.has(item) === false) continue;
    const children = below.get(item.key) ?? [];
    rows.push({ item, depth, children: children.length, isMatch: found?.has(item) ?? false });
    for (const child of children.toReversed()) waiting.push({ item: child, depth: depth + 1 });
  }
  return rows;
}

function withAncestors<Item extends Node>(found: ReadonlySet<Item>, byKey: ReadonlyMap<string, Item>): Set<Item> {
  const kept = new Set<Item>();
  for (const each of found) {
    for (let item: Item | undefined = each; item !== undefined && !kept.has(item); ) {
      kept.add(item);
      item = byKey.get(item.parent ?? "");
    }
  }
  return kept;
}

export interface TreePage<Item extends Node> {
  /** What the first row is below of, from the root. */
  readonly above: readonly Item[];
  readonly rows: readonly TreeRow<Item>[];
  /** From 1. */
  readonly page: number;
  readonly pages: number;
}

/** The `page`th page of `size` rows; the last one for a number that is too large. */
export function treePage<Item extends Node>(
  rows: readonly TreeRow<Item>[],
  page: number,
  size: number,
): TreePage<Item> {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const shown = Math.min(Math.max(1, Math.trunc(page) || 1), pages);
  const from = (shown - 1) * size;
  const above: Item[] = [];
  let depth = rows[from]?.depth ?? 0;
  for (let index = from - 1; index >= 0 && depth > 0; index -= 1) {
    const row = rows[index];
    if (row === undefined || row.depth >= depth) continue;
    above.unshift(row.item);
    depth = row.depth;
  }
  return { above, rows: rows.slice(from, from + size), page: shown, pages };
}

/** A snapshot and everything above it; empty: there is no such. */
export function subtree<Item extends Node>(rows: readonly TreeRow<Item>[], key: string): readonly TreeRow<Item>[] {
  const from = rows.findIndex(({ item }) => item.key === key);
  const root = rows[from];
  if (root === undefined) return [];
  const length = rows.slice(from + 1).findIndex(({ depth }) => depth <= root.depth);
  return rows.slice(from, length === -1 ? undefined : from + 1 + length);
}
