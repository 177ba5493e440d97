// Snapshots as a tree: order, search, pages; and the page that shows it, with 10,000 snapshots.
import { describe, expect, test } from "bun:test";
import { subtree, treePage, treeRows } from "../../../src/api/http/pages/snapshot-tree.ts";

const items = [
  { key: "b" },
  { key: "a" },
  { key: "a2", parent: "a" },
  { key: "a1", parent: "a" },
  { key: "a1x", parent: "a1" },
  { key: "orphan", parent: "of another page" },
].toSorted((one, other) => (one.key < other.key ? -1 : 1));

const drawn = (rows: ReturnType<typeof treeRows>) => rows.map(({ item, depth }) => `${"-".repeat(depth)}${item.key}`);

describe("a tree", () => {
  test("has each below its parent, and what has none there at the root", () => {
    expect(drawn(treeRows(items))).toEqual(["a", "-a1", "--a1x", "-a2", "b", "orphan"]);
    expect(treeRows(items).map(({ children }) => children)).toEqual([2, 1, 0, 0, 0, 0]);
  });

  test("keeps what is under a match, and nothing else", () => {
    const rows = treeRows(items, ({ key }) => key.endsWith("x"));
    expect(drawn(rows)).toEqual(["a", "-a1", "--a1x"]);
    expect(rows.map(({ isMatch }) => isMatch)).toEqual([false, false, true]);
    expect(treeRows(items, () => false)).toEqual([]);
  });

  test("is cut into pages, each of which says what its first row is below of", () => {
    const rows = treeRows(items);
    expect(treePage(rows, 1, 2)).toMatchObject({ above: [], page: 1, pages: 3 });
    const second = treePage(rows, 2, 2);
    expect([second.above.map(({ key }) => key), drawn(second.rows as never)]).toEqual([
      ["a", "a1"],
      ["--a1x", "-a2"],
    ]);
    expect(treePage(rows, 99, 2).page).toBe(3);
    expect(treePage(rows, Number("nonsense"), 2).page).toBe(1);
    expect(treePage(treeRows([]), 1, 2)).toEqual({ above: [], rows: [], page: 1, pages: 1 });
  });

  test("has for each of its members the part above it", () => {
    expect(drawn(subtree(treeRows(items), "a") as never)).toEqual(["a", "-a1", "--a1x", "-a2"]);
    expect(drawn(subtree(treeRows(items), "orphan") as never)).toEqual(["orphan"]);
    expect(subtree(treeRows(items), "none")).toEqual([]);
  });

  test("may be a chain of 10,000", () => {
    const chain = Array.from({ length: 10_000 }, (_, index) => ({
      key: `k${index}`,
      ...(index > 0 && { parent: `k${index - 1}` }),
    }));
    expect(treeRows(chain, ({ key }) => key === "k9999")).toHaveLength(10_000);
  });
});
