import { expect, test } from "bun:test";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
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

test("its last line has the form of all others: a time, a level, the process, the error, and no secret", async () => {
  const program = join(root, "workers", "run-process.ts");
  const planted = `await 1; throw new Error("redis://user:planted@127.0.0.1 is away\\nand more");`;
  const lastLine = async (format: string) => {
    const child = Bun.spawn([process.execPath, "-e", `import ${JSON.stringify(program)}; ${planted}`], {
      env: { ...childEnvironment({}), SNAPMILL_LOG_FORMAT: format },
      stdout: "ignore",
      stderr: "pipe",
    });
    return (await new Response(child.stderr).text()).trimEnd();
  };
  const [json, pretty] = await Promise.all([lastLine("json"), lastLine("pretty")]);
  expect(JSON.parse(json)).toMatchObject({
    level: "fatal",
    code: "internal",
    msg: "redis://***@127.0.0.1 is away\nand more",
    err: { stack: expect.stringContaining("at ") },
  });
  expect(pretty).toMatch(/^\d\d:\d\d:\d\d fatal .*redis:\/\/\*\*\*@127\.0\.0\.1 is away/);
  expect(pretty.split("\n")).toHaveLength(1);
});
