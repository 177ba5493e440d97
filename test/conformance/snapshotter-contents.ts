// Owns what every snapshotter must show: layers of changes, compared with a flat copy.
import { expect, test } from "bun:test";
import { chmodSync, chownSync, linkSync, renameSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anything, describeTree, diffTrees, type Tree } from "../support/trees.ts";
import { all, type Change, directory, removeAll, write } from "./changes.ts";
import type { Client } from "./snapshotter-fixture.ts";

/** Declares the tests of contents. */
export function describeContents(newClient: () => Client, layers: number): void {
  const base = all(
    directory("dir1", 0o700),
    write("dir1/f1", "Hello"),
    directory("dir2"),
    write("dir2/f2", "..."),
    write("foo", "foo", 0o755),
    write("foobar", "foobar"),
  );
  const cases: readonly (readonly [string, readonly Change[]])[] = [
    ["updated files", [write("foo", "changed"), write("dir2/f2", "longer than before"), write("foo", "again")]],
    ["a directory removed from below", [removeAll("dir2"), all(directory("dir2"), write("dir2/new", "new"))]],
    ["changed owners", [(root) => chownSync(join(root, "foo"), 1, 2), (root) => chownSync(join(root, "dir1"), 3, 4)]],
    ["a directory's permission", [(root) => chmodSync(join(root, "dir2"), 0o1777), (root) => chmodSync(root, 0o711)]],
    ["deleted files", [removeAll("foobar"), () => undefined]],
    [
      "moved files",
      [all(directory("dir3"), (root) => renameSync(join(root, "dir1/f1"), join(root, "dir3/f1")), removeAll("dir1"))],
    ],
    ["hard links", [(root) => linkSync(join(root, "foo"), join(root, "dir2/link")), removeAll("foo")]],
    [
      "renamed directories",
      [(root) => renameSync(join(root, "dir1"), join(root, "renamed")), write("renamed/f1", "x")],
    ],
  ];

  test.each(cases)("layers with %s show the same as a flat copy", async (_title, changes) => {
    await compareWithFlatCopy(newClient(), [base, ...changes]);
  });

  test(`${layers} layers show the same as a flat copy`, async () => {
    const changes = Array.from({ length: layers }, (_, index) =>
      all(
        write(`layer ${index}`, `content of ${index}`),
        write("every", `${index}`),
        index % 3 === 2 ? removeAll(`layer ${index - 1}`) : () => undefined,
      ),
    );
    const client = newClient();
    await compareWithFlatCopy(client, changes);
    for (const name of client.walk().sort((left, right) => serialOf(right) - serialOf(left))) await client.remove(name);
  });
}

const serialOf = (name: string) => Number(name.split(" ")[1]);

async function compareWithFlatCopy(client: Client, changes: readonly Change[]): Promise<void> {
  const flat = await mkdtemp(join(tmpdir(), "snapmill-flat-"));
  chmodSync(flat, 0o755);
  try {
    for (const [index, change] of changes.entries()) {
      await change(flat);
      await client.layer(`layer ${index}`, index === 0 ? undefined : `layer ${index - 1}`, change);
    }
    const expected = withoutTimes(describeTree(flat));
    expect(diffTrees(expected, await client.seen(`layer ${changes.length - 1}`, describeTree))).toEqual([]);
  } finally {
    await rm(flat, { recursive: true });
  }
}

const withoutTimes = (tree: Tree): Tree =>
  new Map([...tree].map(([path, facts]) => [path, { ...facts, mtimeNs: anything }]));
