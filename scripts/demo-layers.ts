// Room: scripts. Owns the layers of the demo image that a builder would add by hand: changes, removals, and rarities.
import type { FlatModel } from "../test/support/flat-model.ts";
import {
  type Attributes,
  blockDevice,
  characterDevice,
  directory,
  type Entry,
  fifo,
  file,
  hardLink,
  opaque,
  sparse,
  symlink,
  whiteout,
} from "../test/support/tar-entries.ts";
import type { Facts } from "../test/support/trees.ts";

/** 2026-01-02, with nanoseconds: the day on which everything was changed. */
const changedAtNs = 1_767_312_000_123_456_789n;
const changed: Attributes = { mtimeNs: changedAtNs };

const isAscii = (path: string): boolean => /^[\x20-\x7e]+$/.test(path);
const depthOf = (path: string): number => path.split("/").length;
const isBelow = (path: string, directories: readonly string[]): boolean =>
  directories.some((above) => path === above || path.startsWith(`${above}/`));

/** Every `step`th of `paths` from the `first` on, at most `limit`. */
const every = (paths: readonly string[], step: number, first: number, limit: number): string[] =>
  paths.filter((_, index) => index % step === first).slice(0, limit);

/** Directories of which none lies in another. */
function apart(directories: readonly string[]): string[] {
  const chosen: string[] = [];
  for (const path of directories) {
    if (!isBelow(path, chosen) && !chosen.some((other) => isBelow(other, [path]))) chosen.push(path);
  }
  return chosen;
}

function attributesOf(facts: Facts): Attributes {
  const [uid, gid] = (facts["owner"] ?? "0:0").split(":");
  return {
    mode: Number.parseInt(facts["mode"] ?? "0644", 8),
    uid: Number(uid),
    gid: Number(gid),
    mtimeNs: BigInt(facts["mtimeNs"] ?? 0),
  };
}

/** An upgrade: files change, files and directories go, directories are emptied and filled anew, old files get new names. */
export function updateLayer(model: FlatModel): Entry[] {
  const deep = model.pathsOf("directory").filter((path) => isAscii(path) && depthOf(path) >= 4);
  const touched = apart(every(deep, 23, 7, 16));
  const [emptied, removed] = [touched.slice(0, 4), touched.slice(4, 10)];
  const files = model.pathsOf("file").filter((path) => isAscii(path) && !isBelow(path, touched));
  return [
    ...every(files, 31, 0, 150).map((path) =>
      file(path, `changed: ${path}\n`.repeat(20), { ...changed, mode: 0o640, gid: 42 }),
    ),
    ...every(files, 37, 5, 120)
      .filter((path) => files.indexOf(path) % 31 !== 0)
      .map((path) => whiteout(path)),
    ...removed.map((path) => whiteout(path)),
    ...emptied.flatMap((path) => [
      directory(path, { ...changed, mode: 0o750 }),
      opaque(path),
      file(`${path}/instead.txt`, `what was in ${path} is gone\n`, changed),
    ]),
    directory("opt", changed),
    directory("opt/demo", changed),
    directory("opt/demo/linked", changed),
    ...every(files, 53, 9, 20)
      .filter((path) => files.indexOf(path) % 31 !== 0 && files.indexOf(path) % 37 !== 5)
      .map((path, index) => hardLink(`opt/demo/linked/${index}`, path, attributesOf(model.facts(path) ?? {}))),
  ];
}

/** CAP_NET_BIND_SERVICE, permitted and effective: `struct vfs_cap_data`, revision 2. */
const netBindCapability = Buffer.from("0100000200040000000000000000000000000000", "hex");
const mebibyte = 1 << 20;

/** What few images have all of, and what an unpacker must not get wrong. */
export function raritiesLayer(): Entry[] {
  const long = "long-".repeat(50);
  return [
    directory("tmp", { ...changed, mode: 0o1777 }),
    directory("opt/demo/bin", changed),
    file("opt/demo/bin/setuid", "#!/bin/sh\nid\n", { ...changed, mode: 0o4755 }),
    file("opt/demo/bin/setgid", "#!/bin/sh\nid\n", { ...changed, mode: 0o2755, gid: 8 }),
    file("opt/demo/bin/listen", "#!/bin/sh\n", {
      ...changed,
      mode: 0o755,
      xattrs: { "security.capability": netBindCapability },
    }),
    directory("opt/demo/data", {
      ...changed,
      uid: 3_000_000,
      gid: 3_000_000,
      mode: 0o2770,
      xattrs: { "user.demo": "directory" },
    }),
    file("opt/demo/data/labelled", "see getfattr -d\n", {
      ...changed,
      xattrs: { "user.colour": "blue" },
    }),
    file("opt/demo/data/empty", "", { mtimeNs: 1n }),
    file(Buffer.from("opt/demo/data/caf\xe9", "latin1"), "a name in latin1\n", changed),
    file("opt/demo/data/größe.txt", "a name in UTF-8\n", changed),
    file(`opt/demo/data/${long}`, "a name of 250 bytes\n", changed),
    directory(`opt/demo/data/${long}.d`, changed),
    file(`opt/demo/data/${long}.d/${long}`, "a path of more than 500 bytes\n", { ...changed, longNames: "gnu" }),
    symlink("opt/demo/data/far", `${"../".repeat(40)}opt/demo/data/${long}`, changed),
    symlink("opt/demo/data/nowhere", "does/not/exist", changed),
    sparse(
      "opt/demo/data/sparse.img",
      64 * mebibyte,
      [0, 20, 41].map((at) => ({ offsetBytes: at * mebibyte, content: Buffer.alloc(64 << 10, `extent ${at} `) })),
      "pax-1.0",
      changed,
    ),
    directory("opt/demo/dev", changed),
    characterDevice("opt/demo/dev/null", 1, 3, { ...changed, mode: 0o666 }),
    blockDevice("opt/demo/dev/loop0", 7, 0, { ...changed, mode: 0o660, gid: 6 }),
    fifo("opt/demo/dev/pipe", { ...changed, mode: 0o600 }),
    directory("opt/demo/releases", changed),
    directory("opt/demo/releases/2", changed),
    file("opt/demo/releases/2/notes.txt", "the second release\n", changed),
    symlink("opt/demo/current", "releases/2", changed),
    directory("opt/demo/becomes-a-file", changed),
    file("opt/demo/becomes-a-file/content", "gone in the next layer\n", changed),
    file("opt/demo/becomes-a-directory", "gone in the next layer\n", changed),
  ];
}

/** The last layer changes what the one before it brought. */
export function configurationLayer(): Entry[] {
  return [
    file("opt/demo/becomes-a-file", "a directory until this layer\n", changed),
    directory("opt/demo/becomes-a-directory", changed),
    file("opt/demo/becomes-a-directory/content", "a file until this layer\n", changed),
    file("opt/demo/current/through-a-link.txt", "written through the symbolic link of a lower layer\n", changed),
    whiteout("opt/demo/linked/0"),
    whiteout("opt/demo/data/empty"),
    hardLink("opt/demo/bin/listen-too", "opt/demo/bin/listen", { ...changed, mode: 0o755 }),
    directory("opt/demo/bin", { ...changed, mode: 0o711 }),
    file("opt/demo/README", "This image was made by the snapmill demo.\n".repeat(2000), changed),
  ];
}
