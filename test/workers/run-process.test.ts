import { expect, test } from "bun:test";
import { join } from "node:path";
import { parseAnnouncement } from "../../src/supervisor/ready.ts";

const root = join(import.meta.dir, "../..");

/** The announcements of a worker with this program until its end. */
async function lastAnnouncement(program: string) {
  const imports = `import "${root}/workers/run-process.ts";
    import { announceReady } from "${root}/src/supervisor/ready.ts";
    import { failedPrecondition } from "${root}/src/domain/errors.ts";`;
  const child = Bun.spawn([process.execPath, "-e", imports + program], { stdout: "pipe", stderr: "ignore" });
  const said = await new Response(child.stdout).text();
  expect(await child.exited).toBe(1);
  return parseAnnouncement(said.trim().split("\n").at(-1) ?? "");
}

test("a worker that an uncaught error ends tells its supervisor why, wherever it was thrown", async () => {
  const inTimer = `setTimeout(() => { throw new Error("the disk is away"); }, 1);`;
  const inPromise = `void (async () => { await 1; throw new Error("the disk is away"); })();`;
  const onLoading = `await 1; throw failedPrecondition("the database is newer");`;
  const later = `announceReady(); await 1; throw failedPrecondition("one task went wrong");`;
  const programs = [inTimer, inPromise, onLoading, later];
  const [timer, promise, loading, worked] = await Promise.all(programs.map(lastAnnouncement));
  for (const failed of [timer, promise]) {
    expect(failed).toMatchObject({ kind: "failed", error: { code: "internal", message: "the disk is away" } });
  }
  expect(loading).toMatchObject({ kind: "refused", error: { code: "failed_precondition" } });
  // The supervisor is to start it again.
  expect(worked).toMatchObject({ kind: "failed", error: { code: "failed_precondition" } });
});
