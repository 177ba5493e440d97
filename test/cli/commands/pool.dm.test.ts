// `snapmill pool` on the running kernel: a thin-pool is made, grown, used by `up` and grown meanwhile, and looked at.
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { redisUrl } from "../../../src/config.ts";
import { ownScope, snapshotKey } from "../../../src/domain/identifiers.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { loadedDevices } from "../../support/thin-pool.ts";
import { CliFixture } from "../cli-fixture.ts";

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

test("a pool in files is made once or not at all, grows at rest and under 'up', and is taken off at the end", async () => {
  // A unique name: all tests of this kernel share the names of device-mapper.
  const pool = `cli-${crypto.randomUUID().slice(0, 8)}`;
  {
    // As few processes as possible: each takes seconds to start on the one processor of the guest.
    const few = { SNAPMILL_GRPC_ADDRESS: "", SNAPMILL_UNPACK_WORKERS: "1" };
    await using fixture = new CliFixture({ SNAPMILL_POOL: pool, SNAPMILL_DEVICE_SIZE: "64MiB", ...few });
    const { config, directory } = fixture.snapmill;
    const files = join(directory, "files");
    const create = (path: string, metadata: string) =>
      ["pool", "create", "--loopback", path, "--size", "64MiB", "--metadata-size", metadata] as const;

    expect(await fixture.failure(1, ...create(files, "1MiB"))).toContain("is too small");
    expect([files, join(config.stateDir, "pools")].filter(existsSync)).toEqual([]);
    expect(await fixture.stdout(...create(files, "4MiB"))).toContain("Data size      64.0 MiB");
    expect(await fixture.failure(1, ...create(join(files, "b"), "4MiB"))).toContain("was made before");
    expect(existsSync(join(files, "b"))).toBe(false);
    const atRest = await fixture.stdout("pool", "grow", "--data-size", "128MiB", "--metadata-size", "8MiB");
    expect(atRest).toMatch(/^Data size +128 MiB\nMetadata size +8.0 MiB\n$/);
    expect(await loadedDevices(pool)).toEqual([]);

    await fixture.up();
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    const request = { scope: ownScope, key: snapshotKey("in-use"), labels: {} };
    await client.call("prepare", request);
    const grown: unknown = JSON.parse(await fixture.stdout("pool", "grow", "--data-size", "320MiB", "--json"));
    expect(grown).toEqual({ dataBytes: 320 * mebibyte, metadataBytes: 8 * mebibyte });
    expect(await fixture.failure(1, "pool", "grow", "--data-size", "64MiB")).toContain("it only grows");
    const inUse = statusShape.parse(JSON.parse(await fixture.stdout("pool", "status", "--json")));
    expect(inUse).toMatchObject({ isLoaded: true, mode: "rw", trouble: null, owner: { takeOver: 1 } });
    expect(inUse.data.totalBytes).toBe(320 * mebibyte);
    expect(inUse.data.usedBytes).toBeGreaterThan(0);
    await client.call("remove", request);
  }
  expect(await loadedDevices(pool)).toEqual([]);
});
