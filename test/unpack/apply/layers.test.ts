// Room: test. Owns what a layer does to the tree of the layers below it.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { tar } from "../../support/tar.ts";
import {
  type Attributes,
  blockDevice,
  characterDevice,
  defaultMtimeNs,
  directory,
  type Entry,
  fifo,
  file,
  hardLink,
  opaque,
  symlink,
  whiteout,
} from "../../support/tar-entries.ts";
import { describeTree, type Facts, type Tree } from "../../support/trees.ts";
import { applyTar, makeScratch, type Scratch } from "../scratch.ts";

setDefaultTimeout(60_000);

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** The tree after `layers`, bottom first. */
async function treeOf(...layers: readonly (readonly Entry[])[]): Promise<Tree> {
  const root = await scratch.root();
  for (const layer of layers) applyTar(root, tar(layer));
  return describeTree(root);
}

const kindOf = (facts: Facts | undefined): string => `${facts?.["type"] ?? "nothing"} ${facts?.["linkedWith"] ?? ""}`;
const pathsOf = (tree: Tree): string[] => [...tree.keys()].filter((path) => path !== "").sort();
const at = (mtimeNs: bigint, more: Attributes = {}): Attributes => ({ mtimeNs, ...more });

describe("whiteouts", () => {
  const lower = [directory("d"), file("d/a", "a"), file("d/b", "b"), directory("d/sub"), file("d/sub/x", "x")];

  test("a whiteout removes a file of a lower layer and nothing else", async () => {
    expect(pathsOf(await treeOf(lower, [whiteout("d/a")]))).toEqual(["d", "d/b", "d/sub", "d/sub/x"]);
  });

  test("a whiteout removes a whole directory of a lower layer", async () => {
    expect(pathsOf(await treeOf(lower, [whiteout("d")]))).toEqual([]);
  });

  test("a whiteout of what does not exist does nothing and makes no directory", async () => {
    expect(pathsOf(await treeOf([], [whiteout("nowhere/a"), whiteout("b")]))).toEqual([]);
  });

  test("a whiteout leaves an entry of its own layer alone, whichever comes first", async () => {
    for (const layer of [
      [whiteout("d/a"), file("d/a", "new")],
      [file("d/a", "new"), whiteout("d/a")],
    ]) {
      const tree = await treeOf(lower, layer);
      expect(tree.get("d/a")?.["size"]).toBe("3");
    }
  });

  test("a whiteout of a directory that its layer makes anew leaves only what the layer brought", async () => {
    for (const layer of [
      [whiteout("d"), directory("d"), file("d/new")],
      [directory("d"), file("d/new"), whiteout("d")],
    ]) {
      expect(pathsOf(await treeOf(lower, layer))).toEqual(["d", "d/new"]);
    }
  });

  test("a whiteout of a directory whose child the layer brought keeps the child", async () => {
    expect(pathsOf(await treeOf(lower, [file("d/sub/new"), whiteout("d")]))).toEqual(["d", "d/sub", "d/sub/new"]);
  });

  test("an opaque mark hides what lower layers have, whichever comes first", async () => {
    for (const layer of [
      [directory("d"), opaque("d"), file("d/new"), directory("d/sub"), file("d/sub/y")],
      [directory("d"), file("d/new"), directory("d/sub"), file("d/sub/y"), opaque("d")],
      [directory("d"), file("d/new"), directory("d/sub"), opaque("d"), file("d/sub/y"), opaque("d")],
    ]) {
      expect(pathsOf(await treeOf(lower, layer))).toEqual(["d", "d/new", "d/sub", "d/sub/y"]);
    }
  });

  test("an opaque mark on the root hides everything below", async () => {
    expect(pathsOf(await treeOf(lower, [file("new"), file(".wh..wh..opq")]))).toEqual(["new"]);
  });

  test("a whiteout through a symbolic link removes where the link points", async () => {
    const layer = [...lower, symlink("link", "/d")];
    expect(pathsOf(await treeOf(layer, [whiteout("link/a")]))).toEqual(["d", "d/b", "d/sub", "d/sub/x", "link"]);
    expect(pathsOf(await treeOf(layer, [whiteout("link")]))).toEqual(["d", "d/a", "d/b", "d/sub", "d/sub/x"]);
  });

  test("whiteouts of names with dots and marks inside are ordinary whiteouts", async () => {
    expect(pathsOf(await treeOf([file("...")], [whiteout("...")]))).toEqual([]);
  });

  test("the book-keeping of AUFS leaves nothing", async () => {
    const layer = [
      directory(".wh..wh.plnk"),
      file(".wh..wh.plnk/1.2", "x"),
      file(".wh..wh.aufs"),
      file("d/.wh..wh.orph"),
    ];
    expect(pathsOf(await treeOf(layer))).toEqual([]);
  });

  test("a directory that the layer does not list keeps its times when whiteouts change it", async () => {
    const old = [directory("d", at(111n)), file("d/a"), file("d/b"), directory("d/sub", at(222n)), file("d/sub/x")];
    const tree = await treeOf(old, [whiteout("d/a"), whiteout("d/sub/x"), file("d/c")]);
    expect(tree.get("d")?.["mtimeNs"]).toBe("111");
    expect(tree.get("d/sub")?.["mtimeNs"]).toBe("222");
    const emptied = await treeOf(old, [opaque("d")]);
    expect(emptied.get("d")?.["mtimeNs"]).toBe("111");
  });
});

describe("entries over what is there", () => {
  const everyKind: readonly Entry[] = [
    file("t", "text"),
    directory("t"),
    symlink("t", "elsewhere"),
    fifo("t"),
    characterDevice("t", 1, 3),
    hardLink("t", "other"),
  ];

  test("any kind of entry replaces any other, in the layer above and in the same one", async () => {
    for (const lower of everyKind) {
      for (const upper of everyKind) {
        const base = [file("other", "other!"), directory("lower"), file("lower/kept")];
        const kinds = [await treeOf([...base, lower], [upper]), await treeOf([...base, lower, upper])].map((tree) =>
          kindOf(tree.get("t")),
        );
        const wanted = kindOf((await treeOf([...base, upper])).get("t"));
        expect([lower.kind, upper.kind, ...kinds]).toEqual([lower.kind, upper.kind, wanted, wanted]);
      }
    }
  });

  test("a file replaces a directory with all that is in it", async () => {
    const lower = [directory("d"), directory("d/e"), file("d/e/f"), symlink("d/link", "/")];
    expect(pathsOf(await treeOf(lower, [file("d", "now a file")]))).toEqual(["d"]);
  });

  test("a directory replaces a symbolic link to a directory, whose content stays", async () => {
    const tree = await treeOf([directory("real"), file("real/x"), symlink("d", "real")], [directory("d"), file("d/y")]);
    expect(pathsOf(tree)).toEqual(["d", "d/y", "real", "real/x"]);
    expect(tree.get("d")?.["type"]).toBe("directory");
  });

  test("an entry below a symbolic link goes where the link points inside the root", async () => {
    const links = [
      directory("real"),
      directory("real/deep"),
      symlink("absolute", "/real"),
      symlink("relative", "real/deep"),
      symlink("real/up", "../../../real"),
      symlink("chain", "absolute/up/deep"),
    ];
    const layer = [file("absolute/a"), file("relative/b"), file("real/up/c"), file("chain/d"), file("chain/made/e")];
    const added = ["real/a", "real/c", "real/deep/b", "real/deep/d", "real/deep/made", "real/deep/made/e"];
    const paths = pathsOf(await treeOf(links, layer));
    expect(added.filter((path) => !paths.includes(path))).toEqual([]);
    expect(pathsOf(await treeOf([...links, ...layer]))).toEqual(paths);
    expect(paths.length).toBe(links.length + added.length);
  });

  test("an entry below a dangling symbolic link makes the directory it points to", async () => {
    const tree = await treeOf([symlink("run", "/var/run/x")], [file("run/pid", "1")]);
    expect(pathsOf(tree)).toEqual(["run", "var", "var/run", "var/run/x", "var/run/x/pid"]);
    expect(tree.get("var/run")).toMatchObject({ mode: "0755", owner: "0:0" });
  });

  test("a symbolic link that changes within a layer is followed as it is at each entry", async () => {
    const tree = await treeOf([
      directory("one"),
      directory("two"),
      symlink("link", "one"),
      file("link/a"),
      symlink("link", "two"),
      file("link/b"),
      directory("link"),
      file("link/c"),
    ]);
    expect(pathsOf(tree)).toEqual(["link", "link/c", "one", "one/a", "two", "two/b"]);
  });

  test("a directory entry replaces all attributes of the directory of a lower layer", async () => {
    const lower = directory("d", { mode: 0o2777, uid: 1, gid: 2, xattrs: { "user.old": "1", "user.both": "1" } });
    const upper = directory("d", { mode: 0o1750, uid: 3, gid: 4, mtimeNs: 5n, xattrs: { "user.both": "2" } });
    const tree = await treeOf([lower, file("d/kept")], [upper]);
    expect(tree.get("d")).toEqual({
      type: "directory",
      mode: "1750",
      owner: "3:4",
      mtimeNs: "5",
      "xattr user.both": Buffer.from("2").toString("hex"),
    });
    expect(tree.has("d/kept")).toBe(true);
  });

  test("a new file takes neither group nor access control list from the directory it lies in", async () => {
    const entries = (acls: Record<string, Uint8Array>) => [
      directory("d", { mode: 0o2775, gid: 7, xattrs: acls }),
      file("d/f", "x", { mode: 0o640 }),
      directory("d/s", { mode: 0o700 }),
      file("d/implied/f"),
    ];
    const value = defaultAcl();
    const plain = await treeOf(entries({}));
    const withAcl = await treeOf(entries({ "system.posix_acl_default": value }));
    for (const path of ["d/f", "d/s"]) {
      expect(withAcl.get(path)).toEqual(plain.get(path) ?? {});
      expect(plain.get(path)).toMatchObject({ owner: "0:0", mtimeNs: String(defaultMtimeNs) });
    }
    expect(plain.get("d/f")?.["mode"]).toBe("0640");
    expect(plain.get("d/s")?.["mode"]).toBe("0700");
  });

  test("the root's entry sets the root's own attributes", async () => {
    for (const name of ["./", "/", "."]) {
      const tree = await treeOf([directory(name, at(77n, { mode: 0o711, uid: 5, gid: 6 })), file("f")]);
      expect(tree.get("")).toEqual({ type: "directory", mode: "0711", owner: "5:6", mtimeNs: "77" });
    }
  });

  test("a root that no layer lists keeps its times", async () => {
    const root = await scratch.root();
    const before = describeTree(root).get("");
    applyTar(root, tar([file("f"), directory("d")]));
    expect(describeTree(root).get("")).toEqual(before ?? {});
  });

  test("the last of several entries for one name wins", async () => {
    const tree = await treeOf([file("f", "first"), file("f", "2nd"), directory("d", at(1n)), directory("d", at(2n))]);
    expect(tree.get("f")?.["size"]).toBe("3");
    expect(tree.get("d")?.["mtimeNs"]).toBe("2");
  });

  test("missing parents are made 0755, root's, also below a setgid directory", async () => {
    const tree = await treeOf([directory("s", { mode: 0o2770, gid: 9 }), file("s/a/b/c"), file("x/y/z")]);
    for (const path of ["x", "x/y"]) expect(tree.get(path)).toMatchObject({ mode: "0755", owner: "0:0" });
    expect(tree.get("s/a/b/c")?.["owner"]).toBe("0:0");
  });
});

describe("hard links", () => {
  test("a hard link reaches files of its own and of lower layers, through links and odd spellings", async () => {
    const tree = await treeOf(
      [directory("d"), file("d/f", "x"), symlink("link", "d"), symlink("d/s", "f")],
      [
        hardLink("one", "/d/f"),
        hardLink("two", "./link/../link/f"),
        hardLink("three", "link/s"),
        hardLink("d/f", "d/f"),
      ],
    );
    for (const path of ["one", "two", "d/f"]) expect(tree.get(path)).toMatchObject({ linkedWith: "d/f", links: "3" });
    expect(tree.get("three")).toMatchObject({ type: "symlink", links: "2" });
  });

  test("a hard link to a file hundreds of directories down, named through a symbolic link, lands where it belongs", async () => {
    const deep = Array.from({ length: 300 }, () => "d").join("/");
    const tree = await treeOf([
      file(`${deep}/t`, "target"),
      symlink("s", "d"),
      directory("p"),
      hardLink("p/h", `s${deep.slice(1)}/t`),
    ]);
    expect(tree.get("p/h")).toMatchObject({ links: "2", size: "6" });
    expect(pathsOf(tree).filter((path) => path.endsWith("h"))).toEqual(["p/h"]);
  });

  test("replacing one name of a lower file leaves its other names as they were", async () => {
    const tree = await treeOf([file("a", "old"), hardLink("b", "a")], [file("a", "newer")]);
    expect([tree.get("a")?.["size"], tree.get("b")?.["size"]]).toEqual(["5", "3"]);
  });
});

describe("attributes", () => {
  test("owners, setuid, capabilities and binary attributes all survive each other", async () => {
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    const xattrs = { "security.capability": capability, "user.binary": Buffer.from([0, 255, 61, 10]), "trusted.t": "" };
    const tree = await treeOf([file("ping", "x", { mode: 0o6755, uid: 1000, gid: 1001, xattrs, mtimeNs: -1n })]);
    expect(tree.get("ping")).toEqual({
      type: "file",
      size: "1",
      sha256: String(new Bun.CryptoHasher("sha256").update("x").digest("hex")),
      mode: "6755",
      owner: "1000:1001",
      mtimeNs: "-1",
      "xattr security.capability": capability.toString("hex"),
      "xattr user.binary": "00ff3d0a",
      "xattr trusted.t": "",
    });
  });

  test("owners below zero, and attributes with a percent sign in their names, are as Go's archive/tar has them", async () => {
    const own = { uid: -2, gid: -2, xattrs: { "user.a%20b": "1" } };
    const tree = await treeOf([file("f", "", own), symlink("l", "f", own), directory("d", { ...own, mode: 0o6755 })]);
    for (const path of ["f", "l", "d"]) expect(tree.get(path)?.["owner"]).toBe("4294967294:4294967294");
    expect(tree.get("f")?.["xattr user.a%20b"]).toBe("31");
    expect(tree.get("d")?.["mode"]).toBe("6755");
  });

  test("attributes that the file system does not know are left out", async () => {
    const xattrs = { "com.apple.quarantine": "q", "security.selinux": "label" };
    const tree = await treeOf([file("f", "", { xattrs }), symlink("l", "f", { xattrs: { "user.u": "1" } })]);
    expect(Object.keys(tree.get("f") ?? {}).filter((key) => key.startsWith("xattr"))).toEqual([]);
    expect(tree.get("l")?.["type"]).toBe("symlink");
  });

  test("device numbers use all of their 12 and 20 bits", async () => {
    const tree = await treeOf([
      characterDevice("c", 4095, 1_048_575, { mode: 0o4600, uid: 3 }),
      blockDevice("b", 7, 300, { mode: 0o660, gid: 6 }),
      characterDevice("zero", 0, 0),
    ]);
    expect(tree.get("c")).toMatchObject({ type: "character", device: "4095:1048575", mode: "4600", owner: "3:0" });
    expect(tree.get("b")).toMatchObject({ type: "block", device: "7:300", mode: "0660", owner: "0:6" });
    expect(tree.get("zero")?.["device"]).toBe("0:0");
  });
});

/** user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::r-x, in the kernel's form (posix_acl_xattr.h). */
function defaultAcl(): Uint8Array {
  const entries = [
    [0x01, 7, 0xffff_ffff],
    [0x02, 7, 1000],
    [0x04, 5, 0xffff_ffff],
    [0x10, 7, 0xffff_ffff],
    [0x20, 5, 0xffff_ffff],
  ] as const;
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, who]] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(permissions, 6 + index * 8);
    value.writeUInt32LE(who, 8 + index * 8);
  }
  return value;
}
