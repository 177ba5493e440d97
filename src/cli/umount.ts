// Room: cli. Owns `snapmill umount`.

import { realpath, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { Config } from "../config.ts";
import { failedPrecondition, isSnapmillError, notFound } from "../domain/errors.ts";
import type { Scope } from "../domain/identifiers.ts";
import { labelNames, type Snapshot } from "../domain/snapshots.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import { type MountEntry, mountAtDir } from "../system/mountinfo.ts";
import { unmount } from "../system/mounts.ts";
import { withClient } from "./client.ts";
import { configOf, examples, type ScopeOption, scopeOption } from "./options.ts";
import { mountsIn, openStore } from "./store.ts";

export function addUmount(program: Command): void {
  program
    .command("umount")
    .description("unmount a snapshot; a view that 'mount' made goes too")
    .summary("unmount a snapshot")
    .argument("<dir>", "where it is mounted")
    .addOption(scopeOption())
    .addHelpText("after", examples(["umount /mnt", "undo 'snapmill mount'"]))
    .action(async (dir: string, { scope }: ScopeOption, command: Command) => {
      const config = configOf(command);
      const target = await realpath(dir).catch(() => resolve(dir));
      const mounted = await mountAtDir(target);
      const views = viewsFor(config, scope, target);
      if (mounted === undefined && views.length === 0) throw notFound(`nothing is mounted on ${dir}`);
      if (mounted !== undefined) {
        if (!(await isSnapshot(config, scope, mounted))) {
          throw failedPrecondition(
            `what is mounted on ${dir} is no snapshot of pool ${config.pool}: use umount(8) for it`,
          );
        }
        await unmount(target);
      }
      if (views.length > 0) await removeViews(config, views, dir);
    });
}

/** The views that were made to be mounted on `target`: one, unless a mount was ended without us. */
function viewsFor(config: Config, scope: Scope, target: string): Snapshot[] {
  using database = openStore(config);
  const views = walkSnapshots(database, { scope, filters: ["kind==view"] });
  return Array.from(views).filter(({ labels }) => labels[labelNames.mountedOn] === target);
}

/** Whether the mounted device is that of one of the scope's snapshots. */
async function isSnapshot(config: Config, scope: Scope, mounted: MountEntry): Promise<boolean> {
  using database = openStore(config);
  for (const { key } of walkSnapshots(database, { scope, filters: ["kind!=committed"] })) {
    for (const { source } of mountsIn(config, database, scope, key)) {
      if ((await deviceNumberOf(source)) === mounted.deviceNumber) return true;
    }
  }
  return false;
}

/** `major:minor` of a block device, as mountinfo writes it. */
async function deviceNumberOf(path: string): Promise<string | undefined> {
  try {
    const { rdev } = await stat(path);
    return `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
  } catch {
    return undefined;
  }
}

const busyPatienceMs = 5_000;

async function removeViews(config: Config, views: readonly Snapshot[], dir: string): Promise<void> {
  try {
    await withClient(config, async (client) => {
      const untilMs = performance.now() + busyPatienceMs;
      for (const { scope, key } of views) {
        for (;;) {
          try {
            await client.call("remove", { scope, key });
            break;
          } catch (error) {
            // Whoever looks at new block devices (udev, say) may have it open for a moment.
            if (!isSnapmillError(error, "failed_precondition") || performance.now() > untilMs) throw error;
            await sleep(200);
          }
        }
      }
    });
  } catch (error) {
    if (!isSnapmillError(error, "unavailable")) throw error;
    throw failedPrecondition(
      `${dir} is unmounted, but its view is still there until you repeat this: ${error.message}`,
    );
  }
}
