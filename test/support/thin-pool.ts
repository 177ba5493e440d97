// Room: test. Owns thin-pools for tests: sparse files on loop devices, removed with the scope that made them.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DmControl,
  isDmError,
  type PoolTable,
  sectorBytes,
} from "../../src/drivers/devicemapper/control/control.ts";
import { createDmsetupControl } from "../../src/drivers/devicemapper/control/dmsetup.ts";
import { devicePath } from "../../src/drivers/devicemapper/control/names.ts";
import { attachLoop, type LoopDevice, updateLoopCapacity } from "../../src/system/block/loop.ts";

const mebibyte = 2 ** 20;

export interface ThinPoolOptions {
  readonly dataBytes?: number;
  readonly metadataBytes?: number;
  /** Default: 128, the smallest there is. */
  readonly blockSectors?: number;
  readonly lowWaterBlocks?: number;
  /** Default: `error_if_no_space`. */
  readonly features?: readonly string[];
  /** The pool's name in device-mapper; default: a unique one. */
  readonly name?: string;
}

/** Two sparse files on loop devices, as a thin-pool is made of. */
export interface PoolStore extends AsyncDisposable {
  readonly directory: string;
  readonly dataDevice: string;
  readonly metadataDevice: string;
  growData(bytes: number): Promise<void>;
}

export async function makePoolStore(options: ThinPoolOptions = {}): Promise<PoolStore> {
  const directory = await mkdtemp(join(tmpdir(), "snapmill-thin-"));
  const dataFile = join(directory, "data.img");
  const attached: LoopDevice[] = [];
  const attach = async (file: string, bytes: number) => {
    await writeFile(file, "");
    await truncate(file, bytes);
    const loop = await attachLoop(file);
    attached.push(loop);
    return loop.path;
  };
  const discard = async () => {
    for (const loop of attached) await loop[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const metadataDevice = await attach(join(directory, "metadata.img"), options.metadataBytes ?? 8 * mebibyte);
    const dataDevice = await attach(dataFile, options.dataBytes ?? 256 * mebibyte);
    const growData = async (bytes: number) => {
      await truncate(dataFile, bytes);
      await updateLoopCapacity(dataDevice);
    };
    return { directory, dataDevice, metadataDevice, growData, [Symbol.asyncDispose]: discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** A live thin-pool. Disposing of it first removes its devices: those whose names begin with its name without `-pool`. */
export interface ThinPool extends PoolStore {
  /** Device-mapper's name of the pool. */
  readonly name: string;
  /** `/dev/mapper/<name>` */
  readonly path: string;
  readonly table: PoolTable;
}

export async function makeThinPool(
  options: ThinPoolOptions = {},
  control: DmControl = createDmsetupControl(),
): Promise<ThinPool> {
  const name = options.name ?? `thin-${crypto.randomUUID().slice(0, 8)}`;
  const store = await makePoolStore(options);
  try {
    const table = poolTable(store, options);
    await control.create(name, table);
    return {
      ...store,
      name,
      path: devicePath(name),
      table,
      [Symbol.asyncDispose]: async () => {
        await removeAll(control, name);
        await store[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

export function poolTable(store: PoolStore, options: ThinPoolOptions = {}): PoolTable {
  const blockSectors = options.blockSectors ?? 128;
  const sectors = (options.dataBytes ?? 256 * mebibyte) / sectorBytes;
  return {
    target: "thin-pool",
    sectors: sectors - (sectors % blockSectors),
    metadataDevice: store.metadataDevice,
    dataDevice: store.dataDevice,
    blockSectors,
    lowWaterBlocks: options.lowWaterBlocks ?? 32,
    features: options.features ?? ["error_if_no_space"],
  };
}

/** The names of what device-mapper has loaded, the pool's own device included: those that begin with `pool`. */
export async function loadedDevices(pool: string): Promise<string[]> {
  await using control = createDmsetupControl();
  return (await control.list(pool)).map(({ name }) => name);
}

/** The users of the pool first: they hold it open. */
async function removeAll(control: DmControl, pool: string): Promise<void> {
  const devices = await control.list(pool.replace(/-pool$/, ""));
  const isPool = (name: string) => name === pool;
  for (const { name, isSuspended } of devices.toSorted(
    (one, other) => Number(isPool(one.name)) - Number(isPool(other.name)),
  )) {
    if (isSuspended) await control.resume(name);
    try {
      await control.remove(name);
    } catch (error) {
      if (!isDmError(error, "ENXIO")) throw error;
    }
  }
}
