// Room: test. Owns the start of a worker as a process: the pool's, or one that unpacks.
import { join } from "node:path";
import { childEnvironment, type Overrides } from "../../src/config.ts";
import { parseAnnouncement } from "../../src/supervisor/ready.ts";
import type { TestSnapmill } from "../support/test-snapmill.ts";

/** A worker on the pool of a test snapmill; `announced` is its first line on stdout, `said` all that it has logged. */
export function startWorker(snapmill: TestSnapmill, kind: "pool" | "unpack" = "pool", settings: Overrides = {}) {
  const program = join(import.meta.dir, `../../workers/${kind}.ts`);
  const child = Bun.spawn([process.execPath, program], {
    env: { ...childEnvironment({}), ...snapmill.settings, ...settings },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let said = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) said += decoder.decode(chunk, { stream: true });
  })();
  const announced = (async () => {
    const { value } = await child.stdout.getReader().read();
    return parseAnnouncement(new TextDecoder().decode(value).trim());
  })();
  return { child, announced, said: () => said };
}
