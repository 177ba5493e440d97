// Room: bench. Measures an unpack through the queue against GNU tar and gzip onto an ext4 loop device on the same disk,
// in turns, each time on a fresh disk.
//
//   node_modules/.bin/bun bench/unpack.ts
import "./set-up.ts";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { redisUrl } from "../src/config.ts";
import { formatSize } from "../src/domain/units.ts";
import { JobClient } from "../src/jobs/requests/client.ts";
import { withServices } from "../src/supervisor/services.ts";
import { attachLoop } from "../src/system/block/loop.ts";
import { mountAt, unmount } from "../src/system/mount/mounts.ts";
import { runCommand } from "../src/system/process/commands.ts";
import { writeImage } from "../test/support/images.ts";
import { file } from "../test/support/tar-entries.ts";
import { peaksOf, phasesOf } from "./account.ts";
import { type BenchImage, buildBenchImage } from "./image.ts";
import { benchConfig, type Disk, freshDisk, median, printTable } from "./measure.ts";

const rounds = 5;
const patience = { timeoutMs: 300_000 };
const platform = `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`;

/** GNU tar and gzip, layer by layer, and a syncfs at the end. Milliseconds; making the file system is not counted. */
async function byTar(image: BenchImage, disk: Disk): Promise<number> {
  const device = join(disk.directory, "device.img");
  const root = join(disk.directory, "root");
  mkdirSync(root);
  await runCommand("truncate", ["-s", "4G", device], patience);
  await runCommand("mkfs.ext4", ["-q", "-F", device], patience);
  await using loop = await attachLoop(device, { directIo: true });
  await mountAt(loop.path, root, "ext4");
  try {
    const startedAt = performance.now();
    for (const blob of image.blobs) {
      await runCommand("sh", ["-c", 'gzip -dc "$1" | tar -x -C "$2" --numeric-owner -p', "sh", blob, root], patience);
    }
    await runCommand("sync", ["-f", root], patience);
    return performance.now() - startedAt;
  } finally {
    await unmount(root);
  }
}

interface Unpacking {
  readonly ms: number;
  readonly phases: ReadonlyMap<string, number>;
  readonly peaks: ReadonlyMap<string, number>;
}

/** `unpack` through the queue, on a snapmill that is up and has its template. */
async function bySnapmill(image: BenchImage, small: string, disk: Disk): Promise<Unpacking> {
  const config = benchConfig(disk, { SNAPMILL_UNPACK_WORKERS: "1" });
  const action = async (): Promise<Unpacking> => {
    await using client = await JobClient.connect({ redisUrl: redisUrl(config), pool: config.pool });
    await client.unpack({ reference: small, platform });
    const startedAt = performance.now();
    await client.unpack({ reference: image.reference, platform });
    const ms = performance.now() - startedAt;
    return { ms, phases: await phasesOf(redisUrl(config), config.pool, 1), peaks: peaksOf(config.stateDir) };
  };
  return await withServices(config, action, { signal: new AbortController().signal });
}

await using scratch = await freshDisk(4);
const image = await buildBenchImage(scratch.directory);
const tiny = await writeImage(join(scratch.directory, "tiny"), [{ content: [file("tiny", "x")] }]);
console.log(
  `image: ${formatSize(image.tarBytes)} of tar, ${image.files} files, ${formatSize(image.blobBytes)} of gzip in ${image.blobs.length} layers`,
);

const tarMs: number[] = [];
const unpackings: Unpacking[] = [];
for (let round = 0; round < rounds; round += 1) {
  await using first = await freshDisk(12);
  const byTarMs = await byTar(image, first);
  tarMs.push(byTarMs);
  await using second = await freshDisk(12);
  const unpacking = await bySnapmill(image, tiny.reference, second);
  unpackings.push(unpacking);
  console.log(`round ${round + 1}: tar ${byTarMs.toFixed(0)} ms, snapmill ${unpacking.ms.toFixed(0)} ms`);
}

const mbPerSecond = (ms: number): string => (image.tarBytes / 1e6 / (ms / 1000)).toFixed(0);
const ours = unpackings.map(({ ms }) => ms);
printTable(
  `Unpacking, median of ${rounds} rounds in turns`,
  ["way", "time", "MB/s of tar"],
  [
    ["gzip -dc | tar -x, sync -f", `${median(tarMs).toFixed(0)} ms`, mbPerSecond(median(tarMs))],
    ["snapmill, queue and all", `${median(ours).toFixed(0)} ms`, mbPerSecond(median(ours))],
  ],
);
console.log(`\nRatio ours / tar: ${(median(ours) / median(tarMs)).toFixed(2)}`);

const typical = unpackings.toSorted((a, b) => a.ms - b.ms)[Math.floor(rounds / 2)];
if (typical !== undefined) {
  const shares = [...typical.phases];
  printTable(
    "Where the time goes (the median round)",
    ["phase", "ms", "share"],
    shares.map(([phase, ms]) => [phase, String(ms), `${((ms / typical.ms) * 100).toFixed(0)} %`]),
  );
  printTable(
    "Peak resident memory",
    ["process", "MiB"],
    [...typical.peaks].map(([name, mib]) => [name, mib.toFixed(0)]),
  );
}
