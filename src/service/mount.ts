// Room: service. Owns mounting a snapshot on a directory of this host (a committed one through a view), and unmounting
// it.
import { existsSync } from "node:fs";
import { realpath, stat as statFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { Canceller } from "../domain/cancellation.ts";
import { failedPrecondition, isSnapmillError, notFound } from "../domain/errors.ts";
import { type Scope, type SnapshotKey, snapshotKey } from "../domain/identifiers.ts";
import { labelNames, type Mount, type Snapshot } from "../domain/snapshots.ts";
import { jobs } from "../jobs/contract.ts";
import { listDevicesInState } from "../metadata/devices.ts";
import { findSnapshot } from "../metadata/snapshots.ts";
import { walkSnapshots } from "../metadata/walk.ts";
import { deviceNumberOf } from "../system/block/block-devices.ts";
import { requireUnshared } from "../system/file/shared-paths.ts";
import { isMountPoint, type MountEntry, mountAtDir, mountInfo } from "../system/mount/mountinfo.ts";
import { mountAt, unmount } from "../system/mount/mounts.ts";
import type { LocalService } from "./local-service.ts";
import { onceIdle } from "./once-idle.ts";
import { operation } from "./operation.ts";
import type { Ending, Service } from "./service.ts";
import { mounts, stat } from "./snapshots.ts";

const trust = z.enum(["exec", "suid", "dev"]);
export type Trust = z.output<typeof trust>;

const mountRequest = stat.input.extend({
  /** An existing directory on which nothing is mounted. */
  dir: z.string(),
  /** What the snapshot's files may do on the host; nosuid and nodev apply unless given here. */
  trust: z.array(trust).readonly(),
});

/** Returns the kind of the snapshot: only an active one is writable. `signal` cancels it and undoes what was done. */
export const mount = operation(
  { input: mountRequest, output: stat.output.pick({ kind: true }) },
  async (
    service: LocalService,
    { scope, key, dir, trust: trusted },
    { signal = new Canceller().signal }: Ending = {},
  ) => {
    const place = { target: await mountableDirectory(dir), trust: trusted };
    const { kind } = findSnapshot(service.database(), scope, key);
    switch (kind) {
      case "committed":
        await mountByView(service, scope, key, place, signal);
        break;
      case "active":
      case "view":
        await mountItself(service, scope, key, place, signal);
        break;
    }
    return { kind };
  },
);

/** Where a snapshot is mounted, and what its files may do on the host. */
interface Place {
  readonly target: string;
  readonly trust: readonly Trust[];
}

/**
 * The absolute path of `dir`, an existing directory that is not a mount point. Another user must not be able to replace
 * it with a link before mount(8) uses it: the image would be mounted over the link's target.
 */
async function mountableDirectory(dir: string): Promise<string> {
  const isDirectory = await statFile(dir).then(
    (found) => found.isDirectory(),
    () => undefined,
  );
  if (isDirectory === undefined) throw notFound(`${dir} does not exist: create it first with 'mkdir -p ${dir}'`);
  if (!isDirectory) throw failedPrecondition(`${dir} is not a directory`);
  const target = await realpath(dir);
  requireUnshared(target);
  if (await isMountPoint(target)) throw failedPrecondition(`something is already mounted on ${dir}: unmount it first`);
  return target;
}

async function mountItself(
  service: LocalService,
  scope: Scope,
  key: SnapshotKey,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const found = mounts(service, { scope, key }).mounts;
  if (!found.every(({ source }) => existsSync(source))) await service.requireRunning();
  for (const one of found) await mountOn(place, one, signal);
}

/** Mounts a committed snapshot through a new view, whose label names the directory. */
async function mountByView(
  service: LocalService,
  scope: Scope,
  parent: SnapshotKey,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const key = snapshotKey(`mount/${crypto.randomUUID()}`);
  try {
    const labels = { [labelNames.mountedOn]: place.target };
    const viewed = await service.change("view", { scope, key, parent, labels }, { signal });
    for (const one of viewed.mounts) await mountOn(place, one, signal);
  } catch (error) {
    // Also if `view` failed: when it was interrupted, the view may exist.
    await service.change("remove", { scope, key }).catch(() => undefined);
    signal.throwIfAborted();
    throw error;
  }
}

const mountOn = ({ target, trust }: Place, { type, source, options }: Mount, signal: AbortSignal): Promise<void> =>
  mountAt(source, target, type, options, { trust, signal });

/** Unmounts the snapshot on `dir`, and removes the view that `mount` created for it. */
export const umount = operation(
  { input: mountRequest.pick({ scope: true, dir: true }), output: jobs.remove.result },
  async (service: LocalService, { scope, dir }) => {
    const target = await realpath(dir).catch(() => resolve(dir));
    const mounted = await mountAtDir(target);
    const views = viewsFor(service, scope, target);
    if (mounted === undefined && views.length === 0) throw notFound(`nothing is mounted on ${dir}`);
    if (mounted !== undefined) {
      if (!(await isSnapshot(service, scope, mounted))) {
        const { pool } = service.config;
        throw failedPrecondition(`what is mounted on ${dir} is not a snapshot of pool ${pool}: use umount(8)`);
      }
      await unmount(target);
    }
    if (views.length > 0) await removeViews(service, views, dir);
    return {};
  },
);

/** The views that were created for `target`: one, unless umount(8) ended an earlier mount. */
function viewsFor({ database }: LocalService, scope: Scope, target: string): Snapshot[] {
  const views = walkSnapshots(database(), { scope, filters: ["kind==view"] });
  return Array.from(views).filter(({ labels }) => labels[labelNames.mountedOn] === target);
}

/** Whether the mounted device belongs to one of the scope's snapshots, or is waiting to be removed. */
async function isSnapshot(service: LocalService, scope: Scope, mounted: MountEntry): Promise<boolean> {
  const database = service.database();
  for (const { key } of walkSnapshots(database, { scope, filters: ["kind!=committed"] })) {
    for (const { source } of mounts(service, { scope, key }).mounts) {
      if ((await deviceNumberOf(source)) === mounted.deviceNumber) return true;
    }
  }
  for (const { deviceName } of listDevicesInState(database, ["removing"], removingAtMost)) {
    if ((await deviceNumberOf(service.devicePath(deviceName))) === mounted.deviceNumber) return true;
  }
  return false;
}

const removingAtMost = 10_000;

/** The directories of this host on which an active snapshot or view is mounted. */
export const mountPoints = operation(
  { input: stat.input, output: z.array(z.string()) },
  async (service: Service, { scope, key }) => {
    const sources = mounts(service, { scope, key }).mounts.map(({ source }) => source);
    const numbers = await Promise.all(sources.map(deviceNumberOf));
    return (await mountInfo())
      .filter(({ deviceNumber }) => numbers.includes(deviceNumber))
      .map(({ mountPoint }) => mountPoint);
  },
);

const busyPatienceMs = 5_000;

async function removeViews(service: LocalService, views: readonly Snapshot[], dir: string): Promise<void> {
  try {
    const untilMs = performance.now() + busyPatienceMs;
    for (const { scope, key } of views) await onceIdle(untilMs, () => service.change("remove", { scope, key }));
  } catch (error) {
    if (!isSnapmillError(error, "unavailable")) throw error;
    throw failedPrecondition(
      `${dir} is unmounted, but its view could not be removed; run this command again: ${error.message}`,
    );
  }
}
