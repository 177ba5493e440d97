// Room: scripts. Owns what every test needs of the machine: free space on its disk, and a Redis that starts. If it is
// missing, that is reported once instead of by every test.
import { statfsSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { linesOf } from "../src/system/process/lines.ts";
import { startProcess } from "../src/system/process/processes.ts";

const neededBytes = 2 * 2 ** 30;
const redisTimeoutMs = 20_000;

/** Why the tests cannot put their files into `directory`; undefined when they can. Pools and images take up to a GiB. */
export function whyNoDisk(directory: string): string | undefined {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return undefined;
  const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return `${directory} has ${mib(freeBytes)} left and the tests need ${mib(neededBytes)}: free some, or set TMPDIR`;
}

/** Why no redis-server starts here; undefined when one does. It is stopped again, and leaves no file. */
export async function whyNoRedis(directory: string): Promise<string | undefined> {
  const socket = join(directory, "redis.sock");
  const command = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory];
  const server = startProcess(["sh", "-c", 'exec "$@" 2>&1', "sh", ...command], {
    environment: childEnvironment({}),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const timer = setTimeout(() => server.kill("SIGKILL"), redisTimeoutMs);
  let last = "it said nothing";
  let isReady = false;
  try {
    for await (const line of linesOf(server.stdout)) {
      last = line.trim() === "" ? last : line.trim();
      if (!/ready to accept connections/i.test(line)) continue;
      isReady = true;
      break;
    }
  } finally {
    clearTimeout(timer);
    await server.stop({ graceMs: 5_000 });
  }
  return isReady ? undefined : `redis-server does not start: ${last}`;
}
