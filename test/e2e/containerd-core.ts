// Owns what a real containerd must be able to do on snapmill, whatever the driver.
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ChainId, childChainId, diffId } from "../../src/domain/identifiers.ts";
import { containerdPrograms } from "../support/containerd.ts";
import { ContainerdFixture } from "../support/containerd-fixture.ts";
import { type SmallImage, writeSmallImage } from "../support/small-image.ts";
import { describeWith } from "../support/tools.ts";
import { anything, describeTree, diffTrees, type Facts, type Tree } from "../support/trees.ts";

/** Gives the tests that `declare` declares a containerd on a snapmill with these settings; they may need `programs`. */
export function describeContainerd(
  title: string,
  { settings, programs }: { readonly settings: Record<string, string>; readonly programs: readonly string[] },
  declare: (fixture: () => ContainerdFixture) => void,
): void {
  describeWith([...containerdPrograms, ...programs], title, () => {
    setDefaultTimeout(10 * 60_000);
    let fixture: ContainerdFixture;
    beforeAll(async () => {
      fixture = await ContainerdFixture.open(settings);
    });
    afterEach(() => {
      expect(fixture.poolContents()).toEqual({});
    });
    afterAll(() => fixture[Symbol.asyncDispose]());
    declare(() => fixture);
  });
}

/** An image as `ctr images import` takes it, and the snapshot that shows all of it. */
export interface Archive {
  readonly path: string;
  readonly top: string;
}

/** The archive of an OCI layout with one image of these layers. */
export async function archiveOf(layout: string, layers: readonly { readonly diffId: string }[]): Promise<Archive> {
  await Bun.$`tar -C ${layout} -cf ${layout}.tar .`.quiet();
  const chain = layers.reduce<ChainId | undefined>(
    (below, layer) => childChainId(below, diffId(layer.diffId)),
    undefined,
  );
  return { path: `${layout}.tar`, top: chain ?? "" };
}

/** `ctr snapshots ARGS` of some namespace and snapshotter. */
export type Snapshots = (...args: string[]) => Promise<string>;

/**
 * What `look` sees of a committed snapshot: in a child of it, mounted as containerd says. Not in a view, since ctr makes
 * those without anything that keeps containerd from collecting them as garbage.
 */
export async function lookInto<T>(
  directory: string,
  snapshots: Snapshots,
  name: string,
  look: (root: string) => T,
): Promise<T> {
  const target = join(directory, "target");
  const command = await snapshots("prepare", "--target", target, "looking", name);
  try {
    return await mounted(command, target, look);
  } finally {
    await snapshots("rm", "looking");
  }
}

/** Runs a mount command as ctr has printed it. */
async function mounted<T>(command: string, target: string, body: (root: string) => T): Promise<T> {
  mkdirSync(target, { recursive: true });
  await Bun.$`sh -c ${command}`.quiet();
  try {
    return body(target);
  } finally {
    await Bun.$`umount ${target}`.quiet();
  }
}

export const removeImages = ({ containerd }: ContainerdFixture, ...images: string[]): Promise<string> =>
  containerd.ctr("images", "rm", "--sync", ...images);

/** The tree with the times of directories left open: native gives those that a layer does not list the time of now. */
const withoutDirectoryTimes = (tree: Tree): Tree =>
  new Map(
    [...tree].map(([path, facts]) => [path, facts["type"] === "directory" ? { ...facts, mtimeNs: anything } : facts]),
  );

const isOfUsers = (fact: string): boolean => fact.startsWith("xattr user.");

/** The tree as native could keep it: the file system that `native` is on may have no attributes of users (a tmpfs). */
function asNativeKeeps(native: Tree, tree: Tree): Tree {
  if ([...native.values()].some((facts) => Object.keys(facts).some(isOfUsers))) return tree;
  const kept = (facts: Facts): Facts => Object.fromEntries(Object.entries(facts).filter(([fact]) => !isOfUsers(fact)));
  return new Map([...tree].map(([path, facts]) => [path, kept(facts)]));
}

/** Declares the test of an image that `write` writes. */
export function describeImages(
  fixture: () => ContainerdFixture,
  write: (layout: string) => Promise<SmallImage> = writeSmallImage,
): void {
  test("an image that is imported has what it has on containerd's native snapshotter, and leaves nothing when it goes", async () => {
    const { containerd, snapmill } = fixture();
    const layout = join(snapmill.directory, "small");
    const { layers, expected: model } = await write(layout);
    const { path, top } = await archiveOf(layout, layers);
    for (const snapshotter of ["native", "snapmill"]) {
      await containerd.ctr("images", "import", "--snapshotter", snapshotter, "--base-name", "small", path);
    }
    const native: Snapshots = (...args) => containerd.ctr("snapshots", "--snapshotter", "native", ...args);
    const expected = await lookInto(snapmill.directory, native, top, describeTree);
    const differences = await lookInto(snapmill.directory, fixture().snapshots, top, (root) =>
      diffTrees(withoutDirectoryTimes(expected), asNativeKeeps(expected, describeTree(root))),
    );
    expect(differences).toEqual([]);
    expect(expected.size).toBe(model.size);
    await removeImages(fixture(), "small:test");
    await collectGarbage(fixture());
  });
}

/** Declares the test of what ctr does with snapshots. */
export function describeSnapshots(fixture: () => ContainerdFixture): void {
  test("ctr prepares, mounts, commits, views, measures, labels, shows and removes snapshots", async () => {
    const { snapmill, snapshots } = fixture();
    const target = join(snapmill.directory, "target");
    await mounted(await snapshots("prepare", "--target", target, "first"), target, () =>
      writeFileSync(join(target, "file"), crypto.getRandomValues(Buffer.alloc(65536)).toString("hex").repeat(16)),
    );
    await snapshots("commit", "base", "first");
    await snapshots("prepare", "second", "base");
    await mounted(await snapshots("mounts", target, "second"), target, () =>
      appendFileSync(join(target, "file"), "and more"),
    );
    await snapshots("commit", "top", "second");
    const seen = await mounted(await snapshots("view", "--target", target, "looking", "top"), target, () => {
      expect(() => writeFileSync(join(target, "new"), "")).toThrow("EROFS");
      return readFileSync(join(target, "file"), "utf8");
    });
    expect(seen).toEndWith("and more");
    await snapshots("label", "top", "colour=blue");
    expect(JSON.parse(await snapshots("info", "top"))).toMatchObject({
      Kind: "Committed",
      Name: "top",
      Parent: "base",
      Labels: { colour: "blue" },
    });
    expect(rows(await snapshots("ls"))).toEqual([
      ["base", "Committed"],
      ["looking", "top", "View"],
      ["top", "base", "Committed"],
    ]);
    expect(await snapshots("tree")).toMatch(/base\s+\\_ top\s+\\_ looking/);
    const usage = rows(await snapshots("usage", "-b")).map(([key = "", bytes]): [string, number] => [
      key,
      Number(bytes),
    ]);
    const usedBytes = new Map(usage);
    expect([...usedBytes.keys()]).toEqual(["base", "looking", "top"]);
    expect(usedBytes.get("base")).toBeWithin(2 ** 21, 2 ** 24);
    expect(usedBytes.get("looking")).toBeWithin(0, 2 ** 20);
    await expect(snapshots("rm", "base")).rejects.toThrow("cannot remove snapshot with child");
    for (const key of ["looking", "top", "base"]) await snapshots("rm", key);
    expect(await snapshots("ls")).not.toContain("base");
    await collectGarbage(fixture());
  });
}

/** The words of a table's lines, without its head. */
export const rows = (table: string): string[][] =>
  table
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));

/**
 * Has containerd collect its garbage now, and waits for it: ctr does so with the end of a lease. The leases of commands
 * that were killed go as well: they would hold what those were about for a day.
 */
export async function collectGarbage({ containerd }: ContainerdFixture): Promise<void> {
  await containerd.ctr("leases", "create", "--id", "garbage");
  const leases = (await containerd.ctr("leases", "ls", "--quiet")).trim().split("\n");
  await containerd.ctr("leases", "delete", "--sync", ...leases);
}
