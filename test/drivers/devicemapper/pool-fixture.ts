// Room: test. Owns a fixture for thin-pools that snapmill itself creates, and the check that nothing is left of them.
import { expect } from "bun:test";
import { mkdtemp, readdir, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deviceId, type PoolName, poolName } from "../../../src/domain/identifiers.ts";
import { type DmControl, isDmError, sectorBytes } from "../../../src/drivers/devicemapper/control/control.ts";
import { devicePath } from "../../../src/drivers/devicemapper/control/names.ts";
import { createThinPool } from "../../../src/drivers/devicemapper/pool/create.ts";
import { poolDeviceName, readDefinition } from "../../../src/drivers/devicemapper/pool/definition.ts";
import type { PoolPlan } from "../../../src/drivers/devicemapper/pool/plan.ts";
import { waitForLoops } from "../../../src/drivers/devicemapper/pool/storage.ts";
import { loadThinPool, type ThinPool } from "../../../src/drivers/devicemapper/pool/thin-pool.ts";
import { attachLoop, type LoopDevice } from "../../../src/system/block/loop.ts";
import { loopsBackedBelow } from "../../support/residue.ts";

export const mebibyte = 2 ** 20;

/**
 * Expects the attempt to fail with an error that matches `expected`, or whose message contains it. `expect(…).rejects` does
 * not do here: it waits in a nested event loop, which may miss the answers of another thread.
 */
export async function fails(attempt: Promise<unknown>, expected: string | object = {}): Promise<void> {
  const outcome: unknown = await attempt.then(
    () => "it succeeded",
    (error: unknown) => error,
  );
  const shape = typeof expected === "string" ? { message: expect.stringContaining(expected) as string } : expected;
  expect(outcome).toMatchObject(shape);
}

/** A directory for one pool, its files and its devices; disposing of it checks that nothing of the pool is left. */
export interface PoolFixture extends AsyncDisposable {
  readonly pool: PoolName;
  readonly directory: string;
  readonly poolDir: string;
  readonly filesDir: string;
  readonly notices: string[];
  readonly loopback: PoolPlan;
  /** `minHostFreeBytes`: default 0. */
  create(plan?: Partial<PoolPlan>, minHostFreeBytes?: number): Promise<ThinPool>;
  /** A loop device on a new sparse file. */
  device(name: string, bytes: number, content?: string): Promise<string>;
  /** As a worker does at its start. */
  load(options?: { readonly toGrow?: boolean }): Promise<ThinPool>;
  /** Unloads the pool, whatever its state. */
  takeOff(): Promise<void>;
  /** A thin device of the pool, of 16 MiB, active while `body` runs. */
  withDevice<T>(deviceId: number, body: (path: string) => Promise<T>): Promise<T>;
  /** The pool's devices in device-mapper, and the loop devices of its files. */
  leftovers(): Promise<readonly string[]>;
  /** All files below the fixture, sorted. */
  files(): Promise<readonly string[]>;
}

const uniquePool = (): PoolName => poolName(`pool-${crypto.randomUUID().slice(0, 8)}`);

/** `pool`: default, a unique name. */
export async function poolFixture(control: DmControl, pool = uniquePool()): Promise<PoolFixture> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "snapmill-pool-")));
  const poolDir = join(directory, "pool");
  const filesDir = join(directory, "files");
  const loops: LoopDevice[] = [];
  const notices: string[] = [];
  const storage = { kind: "loopback", directory: filesDir, dataBytes: 64 * mebibyte } as const;
  const loopback: PoolPlan = { pool, storage };
  const takeOff = async () => {
    await control.remove(poolDeviceName(pool)).catch((error: unknown) => {
      if (!isDmError(error, "ENXIO")) throw error;
    });
    await waitForLoops({ ...storage, metadataBytes: 0 });
  };
  const devices = async () => (await control.list(pool)).map(({ name }) => `device ${name}`);
  return {
    pool,
    directory,
    poolDir,
    filesDir,
    notices,
    loopback,
    create: (plan, minHostFreeBytes = 0) =>
      createThinPool({
        control,
        poolDir,
        plan: { ...loopback, ...plan },
        minHostFreeBytes,
        onNotice: (sentence) => notices.push(sentence),
      }),
    load: async (options = {}) => {
      const definition = await readDefinition(poolDir);
      if (definition === undefined) throw new Error(`no definition was written to ${poolDir}`);
      const onNotice = (sentence: string) => notices.push(sentence);
      return await loadThinPool({ control, definition, poolDir, onNotice, ...options });
    },
    takeOff,
    withDevice: async (number, body) => {
      const name = `${pool}-snap-${number}`;
      const poolDevice = devicePath(poolDeviceName(pool));
      const sectors = (16 * mebibyte) / sectorBytes;
      await control.create(name, { target: "thin", sectors, poolDevice, deviceId: deviceId(number) });
      try {
        return await body(devicePath(name));
      } finally {
        await control.remove(name);
      }
    },
    device: async (name, bytes, content = "") => {
      const file = join(directory, name);
      await writeFile(file, content);
      await truncate(file, bytes);
      const loop = await attachLoop(file);
      loops.push(loop);
      return loop.path;
    },
    leftovers: async () => [...(await devices()), ...loopsBackedBelow(filesDir)],
    files: async () => (await readdir(directory, { recursive: true })).sort(),
    [Symbol.asyncDispose]: async () => {
      await takeOff();
      const left = await devices();
      for (const loop of loops) await loop[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
      expect(left).toEqual([]);
    },
  };
}
