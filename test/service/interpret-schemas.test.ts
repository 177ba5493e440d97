// Room: test. Owns that a command's schemas are interpreted, and check the same.
import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** What a fresh process prints that checks an unpack's progress, and how many functions it has compiled for that. */
function checked(isInterpreted: boolean): unknown {
  const program = `
    const compile = globalThis.Function;
    let compiled = 0;
    globalThis.Function = new Proxy(compile, {
      construct: (target, args) => (args.length > 1 && (compiled += 1), Reflect.construct(target, args)),
    });
    const { interpretSchemas } = await import(${JSON.stringify(join(root, "src/service/interpret-schemas.ts"))});
    if (${String(isInterpreted)}) interpretSchemas();
    const { unpackProgress } = await import(${JSON.stringify(join(root, "src/jobs/contract.ts"))});
    const layer = { digest: "sha256:" + "0".repeat(64), state: "unpacking", compressedBytes: 1, readBytes: 1 };
    const good = unpackProgress.safeParse({ layers: [layer] });
    const bad = unpackProgress.safeParse({ layers: [{ ...layer, state: "gone" }] });
    console.log(JSON.stringify({ good: good.success, bad: bad.success, compiles: compiled > 0 }));`;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "--eval", program], { cwd: root });
  expect(stderr.toString()).toBe("");
  return JSON.parse(stdout.toString());
}

test.each([true, false])("interpreted (%p) or compiled, schemas accept and refuse the same", (isInterpreted) => {
  expect(checked(isInterpreted)).toEqual({ good: true, bad: false, compiles: !isInterpreted });
});
