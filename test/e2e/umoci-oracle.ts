// Room: test. Owns the comparison with umoci: its unpack of an image, and a real Debian image that it built.
import { existsSync } from "node:fs";
import { appendFile, chmod, lutimes, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openLibc } from "../../src/system/ffi/libc.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { anything, describeTree, type Facts, type Tree } from "../support/trees.ts";

const libc = openLibc({ lsetxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" } });

const patience = { timeoutMs: 300_000 };
const umoci = (...args: string[]) => runCommand("umoci", args, patience);

/** What umoci unpacks of the image `tag` in the OCI layout at `layout`. umoci knows gzip and no compression, not zstd. */
export async function umociTree(layout: string, tag: string): Promise<Tree> {
  await using directory = await temporaryDirectory();
  const bundle = join(directory.path, "bundle");
  const startedNs = BigInt(Date.now()) * 1_000_000n;
  await umoci("unpack", "--image", `${layout}:${tag}`, bundle);
  // A directory that no layer lists gets the time of the unpacking, and umoci's root always does.
  const isOfNow = (facts: Facts) => BigInt(facts["mtimeNs"] ?? 0) >= startedNs;
  const described = [...describeTree(join(bundle, "rootfs"))];
  return new Map(
    described.map(([path, facts]) => [path, isOfNow(facts) ? { ...facts, mtimeNs: anything } : facts] as const),
  );
}

/** A base without a package of its own scripts, and what is put on it layer by layer. */
const packages = {
  base: [
    "base-files",
    "base-passwd",
    "bash",
    "coreutils",
    "dash",
    "libc-bin",
    "libc6",
    "passwd",
    "sed",
    "tar",
    "util-linux",
  ],
  more: ["perl-base", "tzdata"],
  last: ["openssh-client", "gzip"],
} as const;

/** Bump it when `build` changes: images in the cache are found by it. */
const recipe = "debian-1";
const tag = "debian";

async function downloadPackages(names: readonly string[], cache: string): Promise<string[]> {
  const directory = join(cache, "packages", names.join("+"));
  if (!existsSync(directory)) {
    const partial = `${directory}.${crypto.randomUUID()}`;
    await mkdir(partial, { recursive: true });
    const download = `cd "$0" && apt-get -qq -o APT::Sandbox::User=root download "$@"`;
    const script = `(${download}) || (apt-get -qq update && ${download})`;
    await runCommand("sh", ["-c", script, partial, ...names], patience);
    await rename(partial, directory);
  }
  return (await readdir(directory)).sort().map((name) => join(directory, name));
}

async function install(names: readonly string[], root: string, cache: string): Promise<void> {
  for (const archive of await downloadPackages(names, cache))
    await runCommand("dpkg-deb", ["-x", archive, root], patience);
}

function setXattr(path: string, name: string, value: Buffer): void {
  const result = libc.lsetxattr(Buffer.from(`${path}\0`), Buffer.from(`${name}\0`), value, value.length, 0);
  if (result !== 0) throw new Error(`lsetxattr ${name} on ${path} failed`);
}

/** What packages seldom bring: device nodes, a fifo, capabilities, attributes, odd names, nanoseconds. */
async function addRarities(root: string): Promise<void> {
  await mkdir(join(root, "srv/odd"), { recursive: true });
  const odd = (name: string) => join(root, "srv/odd", name);
  await runCommand("mknod", [odd("null"), "c", "1", "3"]);
  await runCommand("mknod", [odd("disk"), "b", "259", "300"]);
  await runCommand("mkfifo", [odd("pipe")]);
  await writeFile(odd("empty"), "");
  await writeFile(odd("größe"), "UTF-8\n");
  await writeFile(Buffer.concat([Buffer.from(odd("caf")), Buffer.from([0xe9])]), "latin1\n");
  await writeFile(odd("listen"), "#!/bin/sh\n");
  await chmod(odd("listen"), 0o6755);
  setXattr(odd("listen"), "security.capability", Buffer.from("0100000200040000000000000000000000000000", "hex"));
  setXattr(odd("empty"), "user.colour", Buffer.from("blue"));
  setXattr(join(root, "srv"), "user.kind", Buffer.from("directory"));
  await lutimes(odd("empty"), 1_600_000_000.123, 1_600_000_000.456);
  await runCommand("ln", [odd("empty"), odd("empty-too")]);
  await runCommand("ln", ["-s", "../nowhere", odd("dangling")]);
}

/** An upgrade: files and directories go, change, and change their kind. */
async function change(root: string): Promise<void> {
  const documentation = join(root, "usr/share/doc");
  const [first, second, third] = (await readdir(documentation)).sort();
  if (first === undefined || second === undefined || third === undefined) throw new Error("no documentation");
  await rm(join(documentation, first), { recursive: true });
  await rm(join(documentation, second), { recursive: true });
  await writeFile(join(documentation, second), "a directory before\n");
  await rm(join(root, "etc/debian_version"));
  await mkdir(join(root, "etc/debian_version"));
  await appendFile(join(root, "etc/profile"), "# changed\n");
  await rm(join(root, "srv/odd/null"));
  await rm(join(root, "srv/odd/empty-too"));
  await chmod(join(documentation, third), 0o700);
}

async function build(layout: string, scratch: string, cache: string): Promise<void> {
  const image = `${layout}:${tag}`;
  const bundle = join(scratch, "bundle");
  const root = join(bundle, "rootfs");
  const repack = () => umoci("repack", "--refresh-bundle", "--image", image, bundle);
  await umoci("init", "--layout", layout);
  await umoci("new", "--image", image);
  await umoci("unpack", "--image", image, bundle);
  await install(packages.base, root, cache);
  await repack();
  await install(packages.more, root, cache);
  await addRarities(root);
  await repack();
  await install(packages.last, root, cache);
  await change(root);
  await repack();
  const inserted = join(scratch, "inserted");
  await mkdir(join(inserted, "deep"), { recursive: true });
  await writeFile(join(inserted, "deep/file"), "inserted\n");
  await umoci("insert", "--image", image, "--opaque", inserted, "/usr/share/zoneinfo");
  await umoci("insert", "--image", image, inserted, "/opt/inserted");
  await umoci("insert", "--image", image, "--whiteout", "/usr/share/perl5");
}

/**
 * A real image: Debian packages of this machine's release, laid over each other by umoci in six gzip layers, with
 * whiteouts and an opaque directory. Built once, then kept in the directory `cache` (packages too). Needs umoci, apt and
 * dpkg-deb, and root.
 */
export async function debianImage(
  cache: string,
): Promise<{ readonly layout: string; readonly tag: string; readonly reference: string }> {
  const layout = join(cache, recipe);
  if (!existsSync(layout)) {
    await mkdir(cache, { recursive: true });
    const scratch = await mkdtemp(join(cache, "building-"));
    try {
      const fresh = join(scratch, "layout");
      await build(fresh, scratch, cache);
      await rename(fresh, layout);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  return { layout, tag, reference: `oci:${layout}:${tag}` };
}
