// Room: test. Owns the start of a pool's worker as a process.
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { parseAnnouncement } from "../../src/supervisor/ready.ts";
import type { Station } from "../support/station.ts";

const program = join(import.meta.dir, "../../workers/pool.ts");

/** A worker on the station's pool; `announced` is the first thing that it has to say. */
export function startWorker(station: Station) {
  const child = Bun.spawn([process.execPath, program], {
    env: { ...childEnvironment({}), ...station.settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const announced = (async () => {
    const { value } = await child.stdout.getReader().read();
    return parseAnnouncement(new TextDecoder().decode(value).trim());
  })();
  return { child, announced };
}
