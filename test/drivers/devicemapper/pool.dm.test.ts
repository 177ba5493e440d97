// The life of a thin-pool on the running kernel: made, loaded again, claimed, refused.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deviceId } from "../../../src/domain/identifiers.ts";
import { sectorBytes } from "../../../src/drivers/devicemapper/control.ts";
import { readDefinition } from "../../../src/drivers/devicemapper/definition-file.ts";
import { createDmsetupControl } from "../../../src/drivers/devicemapper/dmsetup.ts";
import { devicePath } from "../../../src/drivers/devicemapper/names.ts";
import { loadThinPool, type ThinPool } from "../../../src/drivers/devicemapper/thin-pool.ts";
import { mebibyte, type PoolStage, poolStage } from "./pool-stage.ts";

setDefaultTimeout(120_000);
const control = createDmsetupControl();

async function load(stage: PoolStage): Promise<ThinPool> {
  const definition = await readDefinition(stage.poolDir);
  if (definition === undefined) throw new Error("no definition was written");
  return await loadThinPool({ control, definition, poolDir: stage.poolDir });
}

describe("a pool in files", () => {
  test("is made, taken off with its loop devices, and loaded again with its content", async () => {
    await using stage = await poolStage(control);
    const made = await stage.create();
    expect(await made.status()).toMatchObject({
      mode: "rw",
      needsCheck: false,
      transactionId: 0,
      totalDataBlocks: 1024,
    });
    expect(made.path).toBe(`/dev/mapper/${stage.pool}-pool`);
    expect((await stat(join(stage.filesDir, "data.img"))).mode & 0o777).toBe(0o600);
    expect(await control.table(made.deviceName)).toMatchObject({ features: ["error_if_no_space"], blockSectors: 128 });
    await control.message(made.deviceName, { kind: "create_thin", deviceId: deviceId(7) });
    const thin = `${stage.pool}-snap-1`;
    const table = {
      target: "thin",
      sectors: mebibyte / sectorBytes,
      poolDevice: made.path,
      deviceId: deviceId(7),
    } as const;
    await control.create(thin, table);
    await writeFile(devicePath(thin), "kept over a reboot", { flag: "r+", flush: true });

    expect(await made.close()).toContain(`${thin} still active`);
    await control.remove(thin);
    expect(await made.close()).toBeUndefined();
    expect(await stage.leftovers()).toEqual([]);

    const again = await load(stage);
    await control.create(thin, table);
    expect((await readFile(devicePath(thin), "utf8")).slice(0, 18)).toBe("kept over a reboot");
    await control.remove(thin);
    // A worker that was killed leaves it loaded: the next one takes it as it is.
    await load(stage);
    expect(await again.close()).toBeUndefined();
    expect(await stage.leftovers()).toEqual([]);
  });
});
