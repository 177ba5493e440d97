// Owns the fixture of the suites for snapshotters: a pool with its database and snapshotter, and a client of one scope.
import { mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FsType } from "../../src/domain/devices.ts";
import { freshOperationId, type PoolName, type Scope, scope, snapshotKey } from "../../src/domain/identifiers.ts";
import type { Labels, Mount } from "../../src/domain/snapshots.ts";
import type { Driver } from "../../src/drivers/port.ts";
import { type Database, openDatabase } from "../../src/metadata/database.ts";
import { findSnapshot, mountsOf } from "../../src/metadata/snapshots.ts";
import { walkSnapshots } from "../../src/metadata/walk.ts";
import type { Service } from "../../src/service/service.ts";
import { usage } from "../../src/service/snapshots.ts";
import { hasContent } from "../../src/snapshotter/lost-pool.ts";
import { createSnapshotter, type Snapshotter, type SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";

const mebibyte = 2 ** 20;

/** A kind of pool that the suites can run on. */
export interface TestPool {
  readonly pool: PoolName;
  /**
   * A driver of the pool in `directory`, which is made when it is opened first; as a process that starts now would make
   * it. Not opened. Removing the directory after the driver was closed removes the pool.
   */
  connectDriver(directory: string, sizeBytes: number): Driver;
}

export interface FixtureOptions {
  readonly directory: string;
  readonly poolSizeBytes?: number;
  readonly fsType?: FsType;
  /** Wraps the real driver. */
  readonly around?: (driver: Driver) => Driver;
  readonly snapshotter?: Partial<SnapshotterOptions>;
}

export interface SnapshotterFixture extends AsyncDisposable {
  readonly database: Database;
  readonly driver: Driver;
  readonly snapshotter: Snapshotter;
  /** The lines that recovery returned. */
  readonly recovered: readonly string[];
}

/** A pool with a snapshotter that has recovered. Disposing of it closes the pool; its content stays. */
export async function openFixture(testPool: TestPool, options: FixtureOptions): Promise<SnapshotterFixture> {
  const real = testPool.connectDriver(options.directory, options.poolSizeBytes ?? 768 * mebibyte);
  await using scope = new AsyncDisposableStack();
  const database = scope.use(openDatabase(join(options.directory, "metadata.db"), { mode: "readwrite" }));
  await real.open({ mustExist: hasContent(database) });
  scope.defer(async () => void (await real.close()));
  const driver = options.around?.(real) ?? real;
  const fsType = options.fsType ?? "ext4";
  const deviceSizeBytes = fsType === "ext4" ? 64 * mebibyte : 320 * mebibyte;
  const shape = { pool: testPool.pool, fsType, deviceSizeBytes };
  const snapshotter = createSnapshotter({ database, driver, ...shape, ...options.snapshotter });
  const { lines } = await snapshotter.recover();
  const opened = scope.move();
  return {
    database,
    driver,
    snapshotter,
    recovered: lines,
    async [Symbol.asyncDispose]() {
      await snapshotter.drain();
      await opened.disposeAsync();
    },
  };
}

/** The service as far as reading goes. */
const serviceOf = ({ database, driver }: SnapshotterFixture): Service => ({
  database: () => database,
  devicePath: (name) => driver.devicePath(name),
  usedBytes: (device) => driver.usedBytes(device),
  change: () => Promise.reject(new Error("changes are the snapshotter's")),
});

let scopes = 0;

/** One client of a fixture, in a scope of its own: the verbs with fresh operation IDs, and plain strings for keys. */
export class Client {
  readonly fixture: SnapshotterFixture;
  readonly scope: Scope;

  constructor(fixture: SnapshotterFixture, name?: string) {
    scopes += 1;
    this.fixture = fixture;
    this.scope = scope(name ?? `client-${scopes}`);
  }

  request(key: string, parent?: string, labels: Labels = {}) {
    const base = { scope: this.scope, key: snapshotKey(key), labels };
    return parent === undefined ? base : { ...base, parent: snapshotKey(parent) };
  }

  prepare = (key: string, parent?: string, labels?: Labels) =>
    this.fixture.snapshotter.prepare(freshOperationId(), this.request(key, parent, labels));

  view = (key: string, parent?: string, labels?: Labels) =>
    this.fixture.snapshotter.view(freshOperationId(), this.request(key, parent, labels));

  commit = (name: string, key: string, labels: Labels = {}) =>
    this.fixture.snapshotter.commit(freshOperationId(), { ...this.request(key), name: snapshotKey(name), labels });

  checkpoint = (name: string, key: string, labels: Labels = {}, keyLabels?: Labels) =>
    this.fixture.snapshotter.checkpoint(freshOperationId(), {
      ...this.request(key),
      name: snapshotKey(name),
      labels,
      keyLabels,
    });

  remove = (key: string) =>
    this.fixture.snapshotter.remove(freshOperationId(), { scope: this.scope, key: snapshotKey(key) });

  update = (key: string, labels: Labels, ...fieldPaths: string[]) =>
    this.fixture.snapshotter.update(freshOperationId(), { ...this.request(key), labels, fieldPaths });

  stat = (key: string) => findSnapshot(this.fixture.database, this.scope, snapshotKey(key));
  usage = (key: string) => usage(serviceOf(this.fixture), { scope: this.scope, key: snapshotKey(key) });
  walk = (...filters: string[]) =>
    [...walkSnapshots(this.fixture.database, { scope: this.scope, filters })].map(({ key }) => key as string);
  mounts = (key: string): readonly Mount[] =>
    mountsOf(this.fixture.database, this.scope, snapshotKey(key), (name) => this.fixture.driver.devicePath(name));

  /** A committed snapshot `name` on `parent`, with what `change` does to it while it is mounted. */
  async layer(name: string, parent: string | undefined, change?: (root: string) => unknown): Promise<void> {
    const { mounts } = await this.prepare(`${name} (layer)`, parent);
    if (change !== undefined) await mounted(mounts, change);
    await this.commit(name, `${name} (layer)`);
  }

  /** What `look` finds in a view of the snapshot `name`. */
  async seen<T>(name: string, look: (root: string) => T | Promise<T>): Promise<T> {
    const key = `${name} (seen)`;
    const { mounts } = await this.view(key, name);
    try {
      return await mounted(mounts, look);
    } finally {
      await this.remove(key);
    }
  }
}

/** A mount as snapmill or containerd's client answers it. */
type Mountable = Omit<Mount, "type"> & { readonly type: string };

/** Runs `body` on the root of what `mounts` mount: seen in this process alone, and gone with it. */
export async function mounted<T>(mounts: readonly Mountable[], body: (root: string) => T | Promise<T>): Promise<T> {
  const [mount] = mounts;
  if (mount === undefined || mounts.length !== 1) throw new Error(`expected one mount, not ${mounts.length}`);
  const { source, type, options } = mount;
  using detached = mountDetached({ source, fsType: type, options, readOnly: false });
  return await body(`/proc/self/fd/${detached.fd}/.`);
}

/** The same at a directory, as a container runtime mounts it: where every driver can freeze it. */
export async function mountedInTree<T>(
  mounts: readonly Mountable[],
  body: (root: string) => T | Promise<T>,
): Promise<T> {
  const [mount] = mounts;
  if (mount === undefined || mounts.length !== 1) throw new Error(`expected one mount, not ${mounts.length}`);
  const root = await mkdtemp(join(tmpdir(), "snapmill-mount-"));
  try {
    await mountAt(mount.source, root, mount.type, mount.options);
    try {
      return await body(root);
    } finally {
      await unmount(root);
    }
  } finally {
    await rmdir(root);
  }
}

/** The code of what a promise is rejected with; "no error" when it is not. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "no error";
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}
