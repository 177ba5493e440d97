// Room: cli. Owns `snapmill mount`.
import { existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { type Scope, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import { labelNames, type Mount } from "../domain/snapshots.ts";
import { findSnapshot } from "../metadata/snapshots.ts";
import { isMountPoint } from "../system/mountinfo.ts";
import { mountAt, type Trust } from "../system/mounts.ts";
import { requireRunning, withClient } from "./client.ts";
import { catchInterruption } from "./interruption.ts";
import { configOf, examples, parseKey, type ScopeOption, scopeOption } from "./options.ts";
import { say } from "./output.ts";
import { fullName, mountsIn, openStore } from "./store.ts";

export function addMount(program: Command): void {
  program
    .command("mount")
    .description("mount a snapshot: an active one to be written to, others read-only")
    .summary("mount a snapshot")
    .argument("<name>", "its key or name, or the unambiguous beginning of a digest", parseKey)
    .argument("<dir>", "an existing directory")
    .option("--suid", "let programs of the image run with the rights of their owners (mount option suid)")
    .option("--dev", "let device nodes of the image open the host's devices (mount option dev)")
    .addOption(scopeOption())
    .addHelpText("after", howItMounts)
    .addHelpText(
      "after",
      examples(
        ["mount sha256:ab12cd34ef56 /mnt", "an unpacked image: by a view that 'umount' removes again"],
        ["mount build /mnt", "an active snapshot, to be written to"],
      ),
    )
    .action(async (name: SnapshotKey, dir: string, { scope, suid, dev }: MountOptions, command: Command) => {
      const config = configOf(command);
      const trust: readonly Trust[] = [
        "exec",
        ...(suid ? (["suid"] as const) : []),
        ...(dev ? (["dev"] as const) : []),
      ];
      const target = await mountableDirectory(dir);
      const { key, kind } = findNamed(config, scope, name);
      switch (kind) {
        case "committed":
          await mountByView(config, scope, key, { target, trust });
          break;
        case "active":
        case "view":
          await mountItself(config, scope, key, { target, trust });
          break;
      }
      for (const warning of warningsOf(trust, dir)) say(`snapmill: warning: ${warning}`);
      say(
        `snapmill: mounted ${kind === "active" ? "to be written to" : "read-only"}; 'snapmill umount ${dir}' ends it`,
      );
    });
}

interface MountOptions extends ScopeOption {
  readonly suid?: true;
  readonly dev?: true;
}

const howItMounts = `
Mounted with nosuid and nodev: what an image brings cannot act as root, nor open devices, for those who reach it there.`;

const warningsOf = (trust: readonly Trust[], dir: string): string[] => [
  ...(trust.includes("suid")
    ? [`every user who reaches ${dir} can run its setuid programs, as root if they are root's`]
    : []),
  ...(trust.includes("dev") ? [`every user who reaches ${dir} can open the host's devices by its device nodes`] : []),
];

/** Where a snapshot is mounted, and what its files may be to the host. */
interface Place {
  readonly target: string;
  readonly trust: readonly Trust[];
}

/** The absolute path of `dir`, which exists and has nothing mounted on it. */
async function mountableDirectory(dir: string): Promise<string> {
  const isDirectory = await stat(dir).then(
    (found) => found.isDirectory(),
    () => undefined,
  );
  if (isDirectory === undefined) throw notFound(`${dir} does not exist: make it first, by 'mkdir -p ${dir}'`);
  if (!isDirectory) throw failedPrecondition(`${dir} is not a directory`);
  const target = await realpath(dir);
  if (await isMountPoint(target)) throw failedPrecondition(`something is mounted on ${dir} already: unmount it first`);
  return target;
}

function findNamed(config: Config, scope: Scope, name: SnapshotKey) {
  using database = openStore(config);
  return findSnapshot(database, scope, fullName(database, scope, name));
}

async function mountItself(config: Config, scope: Scope, key: SnapshotKey, place: Place): Promise<void> {
  using database = openStore(config);
  const mounts = mountsIn(config, database, scope, key);
  if (!mounts.every(({ source }) => existsSync(source))) await requireRunning(config);
  for (const mount of mounts) await mountOn(place, mount);
}

/** A committed snapshot is seen through a view, made for the occasion; its label says for which one. */
async function mountByView(config: Config, scope: Scope, parent: SnapshotKey, place: Place): Promise<void> {
  using interruption = catchInterruption();
  const { signal } = interruption;
  await withClient(config, async (client) => {
    const key = snapshotKey(`mount/${crypto.randomUUID()}`);
    try {
      const labels = { [labelNames.mountedOn]: place.target };
      const { mounts } = await client.call("view", { scope, key, parent, labels }, { signal });
      for (const mount of mounts) await mountOn(place, mount, signal);
    } catch (error) {
      // Also when the view's own making failed: interrupted half-way, it may be there.
      await client.call("remove", { scope, key }).catch(() => undefined);
      signal.throwIfAborted();
      throw error;
    }
  });
}

const mountOn = ({ target, trust }: Place, { type, source, options }: Mount, signal?: AbortSignal): Promise<void> =>
  mountAt(source, target, type, options, { trust, signal });
