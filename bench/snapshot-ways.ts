// Room: bench. Owns the snapshotters that are compared on device-mapper: containerd's own, and snapmill with either control.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { paths, readConfig, redisUrl } from "../src/config.ts";
import { ownScope, poolName, snapshotKey } from "../src/domain/identifiers.ts";
import type { DmControlName } from "../src/drivers/devicemapper/control/control.ts";
import { createDmsetupControl } from "../src/drivers/devicemapper/control/dmsetup.ts";
import { createThinPool } from "../src/drivers/devicemapper/pool/create.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { createLogger } from "../src/logger.ts";
import { LocalService } from "../src/service/local-service.ts";
import { stat, usage } from "../src/service/snapshots.ts";
import { ChildSupervisor } from "../src/supervisor/child-supervisor.ts";
import { redisPlan } from "../src/supervisor/redis.ts";
import { poolWorkerPlan } from "../src/supervisor/workers.ts";
import { ContainerdPeer } from "./containerd-peer.ts";
import { median, timeEach } from "./measure.ts";

const mebibyte = 2 ** 20;
const poolBytes = 2048 * mebibyte;
const deviceSizeMib = 512;

/** A snapshotter with an empty thin-pool of its own. */
export interface Way extends AsyncDisposable {
  readonly name: string;
  /** What it takes to have a removal carried out that costs the same when there is nothing to remove: milliseconds. */
  readonly collectionMs: number;
  prepare(key: string, parent?: string): Promise<unknown>;
  view(key: string, parent: string): Promise<unknown>;
  commit(name: string, key: string): Promise<unknown>;
  /** The device is gone as well when it returns. */
  remove(key: string): Promise<unknown>;
  usage(key: string): Promise<unknown>;
  stat(key: string): unknown;
}

const emptyCollections = 9;

/** Over containerd's socket. A removal is that of the name and the collection that follows. */
export async function containerdWay(directory: string): Promise<Way> {
  await using taken = new AsyncDisposableStack();
  const control = taken.use(createDmsetupControl());
  const poolDir = join(directory, "pool");
  mkdirSync(poolDir, { recursive: true });
  const storage = { kind: "loopback", directory: poolDir, dataBytes: poolBytes } as const;
  const pool = await createThinPool({ control, poolDir, plan: { pool: poolName("peer"), storage } });
  taken.defer(async () => {
    for (const { name } of await control.list("peer-pool-snap-")) await control.remove(name);
    await pool.close();
  });
  const peer = taken.use(await ContainerdPeer.start(join(directory, "containerd"), pool.deviceName, deviceSizeMib));
  const collectionMs = median(await timeEach(emptyCollections, () => peer.collect()));
  const held = taken.move();
  return {
    name: "containerd",
    collectionMs,
    prepare: peer.prepare,
    view: peer.view,
    commit: peer.commit,
    usage: peer.usage,
    stat: peer.stat,
    remove: async (key) => {
      await peer.release(key);
      await peer.collect();
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Changes through the queue, with a pool worker and a Redis of its own; reads as every program on the host makes them. */
export async function snapmillWay(directory: string, dmControl: DmControlName): Promise<Way> {
  const settings = {
    SNAPMILL_STATE_DIR: join(directory, "state"),
    SNAPMILL_RUN_DIR: join(directory, "run"),
    SNAPMILL_POOL: dmControl,
    SNAPMILL_DRIVER: "devmapper",
    SNAPMILL_DM_CONTROL: dmControl,
    SNAPMILL_POOL_SIZE: String(poolBytes),
    SNAPMILL_DEVICE_SIZE: String(deviceSizeMib * mebibyte),
    SNAPMILL_LOG_LEVEL: "warn",
  };
  const config = readConfig({}, settings);
  const log = createLogger({ name: dmControl, level: "warn" });
  await using taken = new AsyncDisposableStack();
  for (const plan of [redisPlan(config), poolWorkerPlan(config)]) {
    const supervisor = new ChildSupervisor(plan, log);
    taken.defer(async () => void (await supervisor.stop()));
    await supervisor.start();
  }
  const client = taken.use(await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool }));
  mkdirSync(paths.poolDir(config), { recursive: true });
  const service = taken.use(new LocalService(config, () => undefined));
  const held = taken.move();
  const scope = ownScope;
  const [labels, deadlineMs] = [{}, 300_000];
  return {
    name: `snapmill, ${dmControl}`,
    collectionMs: 0,
    prepare: (key, parent) => client.call("prepare", { scope, key, parent, labels }, { deadlineMs }),
    view: (key, parent) => client.call("view", { scope, key, parent, labels }, { deadlineMs }),
    commit: (name, key) => client.call("commit", { scope, name, key, labels }, { deadlineMs }),
    remove: (key) => client.call("remove", { scope, key }, { deadlineMs }),
    usage: (key) => usage(service, { scope, key: snapshotKey(key) }),
    stat: (key) => stat(service, { scope, key: snapshotKey(key) }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
