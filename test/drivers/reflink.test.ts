import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poolName } from "../../src/domain/identifiers.ts";
import { createReflinkDriver } from "../../src/drivers/reflink/driver.ts";
import { runCommand } from "../../src/system/commands.ts";
import { attachLoop } from "../../src/system/loop.ts";
import { listLoops } from "../../src/system/loops.ts";
import { mountInfo } from "../../src/system/mountinfo.ts";
import { mountAt, unmount } from "../../src/system/mounts.ts";
import { type DriverGround, describeDriver } from "../conformance/drivers.ts";

const mebibyte = 2 ** 20;

function makeGround(dir: string, poolDir: string, take: () => Promise<void>): DriverGround {
  const devicesDir = join(dir, "dev");
  const pool = poolName("test");
  return {
    pool,
    connect: () => createReflinkDriver({ pool, poolDir, devicesDir, sizeBytes: 512 * mebibyte }),
    leftOnHost: async () => [
      ...(await listLoops()).map((entry) => entry.backingFile).filter((file) => file.startsWith(poolDir)),
      ...(await mountInfo()).map((entry) => entry.mountPoint).filter((point) => point.startsWith(`${poolDir}/`)),
      ...(await readdir(devicesDir)),
    ],
    [Symbol.asyncDispose]: async () => {
      await take();
      await rm(dir, { recursive: true });
    },
  };
}

describeDriver("the reflink driver on a pool file", async () => {
  const dir = await mkdtemp(join(tmpdir(), "snapmill-pool-"));
  return makeGround(dir, join(dir, "pool"), () => Promise.resolve());
});

describeDriver("the reflink driver on a directory with reflinks", async () => {
  const dir = await mkdtemp(join(tmpdir(), "snapmill-pool-"));
  const image = join(dir, "host.img");
  const host = join(dir, "host");
  await writeFile(image, "");
  await truncate(image, 512 * mebibyte);
  await runCommand("mkfs.xfs", ["-q", "-m", "reflink=1", image]);
  await mkdir(host);
  const loop = await attachLoop(image, { directIo: true });
  await mountAt(loop.path, host, "xfs");
  return makeGround(dir, join(host, "pool"), async () => {
    await unmount(host);
    await loop[Symbol.asyncDispose]();
  });
});
