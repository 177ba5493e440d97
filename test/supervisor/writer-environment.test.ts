// Room: test. Owns the environment in which an unpack worker starts its writer.
import { afterEach, expect, test } from "bun:test";
import { writerEnvironment } from "../../src/supervisor/workers.ts";

const name = "BUN_JSC_useFTLJIT";
const before = Bun.env[name];
afterEach(() => {
  if (before === undefined) delete Bun.env[name];
  else Bun.env[name] = before;
});

/** What a program of Bun, started with `environment`, reports of its compilers. */
function optionsOf(environment: Record<string, string>): string {
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", "0"], {
    env: { ...environment, BUN_JSC_dumpOptions: "1" },
    stderr: "pipe",
  });
  return `${stdout.toString()}${stderr.toString()}`;
}

test("a writer runs without the last tier of the compilers, unless the environment says otherwise", () => {
  delete Bun.env[name];
  expect(optionsOf(writerEnvironment())).toContain("useFTLJIT=false");
  Bun.env[name] = "true";
  expect(writerEnvironment()[name]).toBe("true");
});
