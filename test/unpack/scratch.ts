// Room: test. Owns roots for layers on a real ext4, and the application of tars to them.
import { closeSync, constants, openSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../../src/system/process/commands.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { type ApplierOptions, LayerApplier } from "../../src/unpack/apply/applier.ts";

export interface Scratch extends AsyncDisposable {
  /** Of this test file alone; not on the ext4. */
  readonly directory: string;
  /** An empty directory on the ext4, root's and 0755. */
  root(): Promise<string>;
}

export async function makeExt4(file: string, sizeBytes: number): Promise<void> {
  await writeFile(file, "");
  await truncate(file, sizeBytes);
  await runCommand("mkfs.ext4", [
    "-q",
    "-F",
    "-b",
    "4096",
    "-E",
    "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
    file,
  ]);
}

export async function makeScratch(sizeBytes = 2 ** 31): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), "snapmill-unpack-"));
  const mounted = join(directory, "mounted");
  await makeExt4(join(directory, "ext4"), sizeBytes);
  await mkdir(mounted);
  await runCommand("mount", ["-o", "loop", join(directory, "ext4"), mounted]);
  return {
    directory,
    root: async () => {
      const root = await mkdtemp(join(mounted, "root-"));
      await runCommand("chmod", ["0755", root]);
      return root;
    },
    [Symbol.asyncDispose]: async () => {
      await runCommand("umount", [mounted]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

let defaults: ApplierOptions = {};

/** Has all that is applied from now on hold no more directories open than that. */
export function limitOpenDirectories(maxOpenDirectories: number): void {
  defaults = { maxOpenDirectories };
}

export interface Limits extends ApplierOptions {
  /** The size of the chunks that the reader is given. */
  readonly chunkBytes?: number;
  /** Called after each of them. */
  readonly pushed?: () => void;
}

/** Applies one layer. */
export function applyTar(root: string, bytes: Uint8Array, limits: Limits = {}): void {
  const { chunkBytes = 65_536, pushed, ...options } = limits;
  const descriptor = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    using applier = new LayerApplier(descriptor, { ...defaults, ...options });
    const reader = new TarReader(applier);
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      reader.push(bytes.subarray(at, at + chunkBytes));
      pushed?.();
    }
    reader.end();
    applier.complete();
  } finally {
    closeSync(descriptor);
  }
}

/** Whether this process has the file open. */
export function isOpen(path: string): boolean {
  return readdirSync("/proc/self/fd").some((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
    } catch {
      // The descriptor of the listing itself is gone again.
      return false;
    }
  });
}
