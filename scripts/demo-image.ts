// Room: scripts. Owns the demo image: a realistic OCI image of this machine's files, and its expected content.
import { readdirSync } from "node:fs";
import { FlatModel } from "../test/support/flat-model.ts";
import { type BlobForm, type LayerSource, writeLayout } from "../test/support/images.ts";
import { tar } from "../test/support/tar.ts";
import { directory, type Entry, symlink } from "../test/support/tar-entries.ts";
import { describeTree, diffTrees, type Tree } from "../test/support/trees.ts";
import { configurationLayer, raritiesLayer, updateLayer } from "./demo-layers.ts";
import { machineEntries, type Source } from "./machine-files.ts";

export interface DemoOptions {
  readonly signal?: AbortSignal | undefined;
  /** Stores every layer so: for tools that do not know all forms. Default: a mixture. */
  readonly form?: BlobForm | undefined;
}

/** What the image should contain, by path. */
export type ExpectedTree = Tree;

export interface DemoImage {
  /** `oci:DIRECTORY:demo` */
  readonly reference: string;
  readonly expected: ExpectedTree;
  readonly layers: number;
  /** Of the layers as uncompressed tars. */
  readonly tarBytes: number;
}

const mebibyte = 1 << 20;
const source = (root: string, maxFiles: number, maxMebibytes: number): Source => ({
  root,
  maxFiles,
  maxBytes: maxMebibytes * mebibyte,
});

const etcNames = [
  "alternatives",
  "apparmor.d",
  "bash.bashrc",
  "cron.daily",
  "debian_version",
  "default",
  "dpkg",
  "group",
  "host.conf",
  "init.d",
  "ld.so.conf.d",
  "login.defs",
  "logrotate.d",
  "nsswitch.conf",
  "pam.d",
  "passwd",
  "profile",
  "profile.d",
  "security",
  "selinux",
  "shells",
  "skel",
  "systemd",
  "terminfo",
];

/** Debian's directories of libraries for this architecture: /usr/lib/x86_64-linux-gnu, say. */
const libraryRoots = (): string[] =>
  readdirSync("/usr/lib")
    .filter((name) => /-linux-gnu[a-z]*$/.test(name))
    .sort()
    .map((name) => `/usr/lib/${name}`);

const rootDirectory = directory("./", { mtimeNs: 1_767_225_600_000_000_000n });

const baseLayer = (): Entry[] => [
  rootDirectory,
  symlink("bin", "usr/bin"),
  symlink("lib", "usr/lib"),
  symlink("sbin", "usr/sbin"),
  ...machineEntries([
    ...etcNames.map((name) => source(`/etc/${name}`, 200, 1)),
    source("/usr/bin", 400, 12),
    source("/usr/sbin", 200, 4),
    ...libraryRoots().map((root) => source(root, 500, 10)),
    source("/usr/lib/apt", 100, 2),
    source("/usr/lib/systemd", 300, 2),
  ]),
];

const shareLayer = (): Entry[] => [
  ...machineEntries([
    source("/usr/share/zoneinfo", 900, 3),
    source("/usr/share/perl", 400, 4),
    source("/usr/share/perl5", 400, 3),
    source("/usr/share/i18n", 300, 5),
    source("/usr/share/locale", 300, 3),
    source("/usr/share/doc", 400, 2),
    source("/usr/share/man", 400, 2),
    source("/usr/share/bash-completion", 300, 1),
  ]),
];

const packagesLayer = (): Entry[] => [
  ...machineEntries([
    source("/var/lib/dpkg/info", 700, 4),
    source("/usr/lib/python3", 400, 4),
    source("/usr/local/lib/node_modules", 600, 5),
    source("/usr/share/nodejs", 600, 5),
    source("/usr/lib/node_modules", 400, 3),
    source("/usr/include", 300, 3),
  ]),
];

/** The layers, bottom first: how each is stored, and what is in it given all those below. */
const recipe: readonly {
  readonly form: BlobForm;
  readonly entries: (below: FlatModel) => Entry[];
}[] = [
  { form: "gzip", entries: baseLayer },
  { form: "zstd", entries: shareLayer },
  { form: "gzip-members", entries: packagesLayer },
  { form: "zstd-frames", entries: updateLayer },
  { form: "none", entries: raritiesLayer },
  { form: "gzip", entries: configurationLayer },
];

/**
 * Writes the demo image as an OCI layout at `directory`, the same bytes every time as long as the machine's files stay the
 * same, and computes what it should contain without unpacking it.
 */
export async function buildDemoImage(
  directory: string,
  { signal, form: onlyForm }: DemoOptions = {},
): Promise<DemoImage> {
  const model = new FlatModel();
  const layers: LayerSource[] = [];
  let tarBytes = 0;
  for (const { form, entries } of recipe) {
    signal?.throwIfAborted();
    const layer = entries(model);
    model.addLayer(layer);
    const content = tar(layer);
    layers.push({ content, form: onlyForm ?? form });
    tarBytes += content.length;
    // Yields the thread, so that the build can be interrupted.
    await Bun.sleep(0);
  }
  signal?.throwIfAborted();
  await writeLayout(directory, [{ tag: "demo", image: { layers } }]);
  return { reference: `oci:${directory}:demo`, expected: model.tree(), layers: layers.length, tarBytes };
}

/** What below `mountpoint` differs from what the image should contain, one line a difference. */
export const compareTree = (mountpoint: string, expected: ExpectedTree): string[] =>
  diffTrees(expected, describeTree(mountpoint));
