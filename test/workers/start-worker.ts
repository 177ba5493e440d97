// Room: test. Owns the start of a worker as a process: the pool's, or one that unpacks.
import { join } from "node:path";
import { childEnvironment, type Overrides } from "../../src/config.ts";
import { parseAnnouncement } from "../../src/supervisor/ready.ts";
import type { TestSnapmill } from "../support/test-snapmill.ts";

/** A worker on the pool of a test snapmill; `announced` is the first thing that it has to say. */
export function startWorker(snapmill: TestSnapmill, kind: "pool" | "unpack" = "pool", settings: Overrides = {}) {
  const program = join(import.meta.dir, `../../workers/${kind}.ts`);
  const child = Bun.spawn([process.execPath, program], {
    env: { ...childEnvironment({}), ...snapmill.settings, ...settings },
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
