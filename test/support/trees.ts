// Room: test. Owns the comparison of directory trees: everything that a file system records, and how two trees differ.
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { openLibc } from "../../src/system/ffi/libc.ts";

/** The facts of one file as text: `type`, `mode`, `owner`, `mtimeNs`, and what else its type has. */
export type Facts = Readonly<Record<string, string>>;

/** A fact that an expected tree leaves open. */
export const anything = "anything";

/** Facts by path from the root ("" itself, no leading slash). A path is bytes, as latin1: it need not be UTF-8. */
export type Tree = ReadonlyMap<string, Facts>;

const libc = openLibc({
  llistxattr: { args: ["ptr", "ptr", "u64"], returns: "i64" },
  lgetxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: "i64" },
});

/** Set by the system on every file, not by the program that wrote it. */
const ambientXattrs = ["security.selinux"];

const asPath = (bytes: string): Buffer => Buffer.from(bytes, "latin1");

function xattrFacts(path: string): Record<string, string> {
  const cPath = asPath(`${path}\0`);
  const names = Buffer.alloc(64 << 10);
  const namesBytes = Number(libc.llistxattr(cPath, names, names.length));
  if (namesBytes < 0) throw new Error(`llistxattr ${path} failed`);
  const facts: Record<string, string> = {};
  for (const name of names.toString("latin1", 0, namesBytes).split("\0").slice(0, -1)) {
    if (ambientXattrs.includes(name)) continue;
    const value = Buffer.alloc(64 << 10);
    const valueBytes = Number(libc.lgetxattr(cPath, asPath(`${name}\0`), value, value.length));
    if (valueBytes < 0) throw new Error(`lgetxattr ${path} ${name} failed`);
    facts[`xattr ${name}`] = value.toString("hex", 0, valueBytes);
  }
  return facts;
}

const readChunk = Buffer.alloc(1 << 20);

function sha256OfFile(path: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const descriptor = openSync(asPath(path), "r");
  try {
    for (;;) {
      const bytes = readSync(descriptor, readChunk, 0, readChunk.length, null);
      if (bytes === 0) return hasher.digest("hex");
      hasher.update(readChunk.subarray(0, bytes));
    }
  } finally {
    closeSync(descriptor);
  }
}

type Status = ReturnType<typeof statusOf>;
const statusOf = (path: string) => lstatSync(asPath(path), { bigint: true });

/** Linux's encoding of a device number: 12 and 20 bits, interleaved. */
function deviceText(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

function typeFacts(path: string, status: Status): Facts {
  if (status.isFile()) return { type: "file", size: String(status.size), sha256: sha256OfFile(path) };
  if (status.isDirectory()) return { type: "directory" };
  if (status.isSymbolicLink()) {
    return {
      type: "symlink",
      target: Buffer.from(readlinkSync(asPath(path), { encoding: "buffer" })).toString("latin1"),
    };
  }
  if (status.isCharacterDevice()) return { type: "character", device: deviceText(status.rdev) };
  if (status.isBlockDevice()) return { type: "block", device: deviceText(status.rdev) };
  return { type: status.isFIFO() ? "fifo" : "socket" };
}

export const modeText = (mode: number): string => (mode & 0o7777).toString(8).padStart(4, "0");

/** Files that share an inode get the same `linkedWith`: the first of their paths. `links` counts names outside the tree too. */
function linkFacts(path: string, status: Status, firstPaths: Map<string, string>): Record<string, string> {
  if (status.isDirectory() || status.nlink === 1n) return {};
  const inode = `${status.dev}:${status.ino}`;
  const first = firstPaths.get(inode) ?? path;
  firstPaths.set(inode, first);
  return { links: String(status.nlink), linkedWith: first };
}

/** Everything below `root`, which may be a mount point. Access times and the sizes of directories are left out. */
export function describeTree(root: string): Tree {
  const tree = new Map<string, Facts>();
  const firstPaths = new Map<string, string>();
  const base = Buffer.from(root).toString("latin1");
  const visit = (path: string): void => {
    const full = path === "" ? base : `${base}/${path}`;
    const status = statusOf(full);
    tree.set(path, {
      ...typeFacts(full, status),
      ...(!status.isSymbolicLink() && { mode: modeText(Number(status.mode)) }),
      owner: `${status.uid}:${status.gid}`,
      mtimeNs: String(status.mtimeNs),
      ...linkFacts(path, status, firstPaths),
      ...xattrFacts(full),
    });
    if (!status.isDirectory()) return;
    const names = readdirSync(asPath(full), { encoding: "buffer" }).map((name) => Buffer.from(name).toString("latin1"));
    for (const name of names.sort()) visit(join(path, name));
  };
  visit("");
  return tree;
}

function diffFacts(path: string, expected: Facts, actual: Facts): string[] {
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  return [...keys]
    .filter((key) => expected[key] !== anything && expected[key] !== actual[key])
    .map(
      (key) =>
        `${JSON.stringify(`/${path}`)}: ${key} is ${actual[key] ?? "absent"}, expected ${expected[key] ?? "absent"}`,
    );
}

/** The facts of `actual` that differ from `expected`, one line each, ordered by path; empty when none does. */
export function diffTrees(expected: Tree, actual: Tree): string[] {
  const paths = [...new Set([...expected.keys(), ...actual.keys()])].sort();
  return paths.flatMap((path) => {
    const wanted = expected.get(path);
    const found = actual.get(path);
    if (found === undefined) return [`${JSON.stringify(`/${path}`)}: missing`];
    if (wanted === undefined) return [`${JSON.stringify(`/${path}`)}: unexpected ${found["type"] ?? "thing"}`];
    return diffFacts(path, wanted, found);
  });
}
