// `snapmill pool` on the running kernel: a thin-pool is made, grown and looked at, and what fails leaves nothing.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Stage } from "./stage.ts";

setDefaultTimeout(300_000);
const mebibyte = 2 ** 20;

const space = z.object({ usedBytes: z.number(), totalBytes: z.number() });
const statusShape = z.looseObject({
  isLoaded: z.boolean(),
  mode: z.string().nullable(),
  trouble: z.string().nullable(),
  owner: z.object({ owner: z.number(), takeOver: z.number() }).nullable(),
  data: space,
  metadata: space,
  devices: z.record(z.string(), z.number()).nullable(),
});

/** A stage whose pool has a name that nobody else has: device-mapper's names are everybody's. */
function poolStage() {
  const pool = `cli-${crypto.randomUUID().slice(0, 8)}`;
  const stage = new Stage({ SNAPMILL_POOL: pool, SNAPMILL_DRIVER: "auto" });
  const status = async () => statusShape.parse(JSON.parse(await stage.stdout("pool", "status", "--json")));
  return { pool, stage, status, files: join(stage.station.directory, "files") };
}

describe("snapmill pool", () => {
  test("grows a pool that is not in use, and says what cannot be", async () => {
    const { stage, status, files } = poolStage();
    await using _ = stage;
    await stage.stdout("pool", "create", "--loopback", files, "--size", "64MiB", "--metadata-size", "4MiB");
    await stage.stdout("pool", "grow", "--data-size", "128MiB", "--metadata-size", "8MiB");
    const { data, metadata } = await status();
    expect([data.totalBytes, metadata.totalBytes]).toEqual([128 * mebibyte, 8 * mebibyte]);
    expect(await stage.failure(1, "pool", "grow", "--data-size", "64MiB")).toContain("it only grows");
  });

  test("takes down what a command made that fails", async () => {
    const { stage, files } = poolStage();
    await using _ = stage;
    const tooSmall = ["pool", "create", "--loopback", files, "--size", "64MiB", "--metadata-size", "1MiB"];
    expect(await stage.failure(1, ...tooSmall)).toContain("is too small");
    expect(existsSync(files)).toBe(false);
    expect(existsSync(join(stage.station.config.stateDir, "pools"))).toBe(false);
  });
});
