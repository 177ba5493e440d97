import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { acquireLock, isLock, type Lock, tryLock } from "../../../src/system/file/locks.ts";

setDefaultTimeout(30_000);
const modulePath = JSON.stringify(join(import.meta.dir, "../../../src/system/file/locks.ts"));

describe("a lock", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "snapmill-locks-"));
  });
  afterAll(() => rm(dir, { recursive: true }));

  function taken(path: string, contents: string): Lock {
    const outcome = tryLock(path, contents);
    if (!isLock(outcome)) throw new Error(`held by ${outcome.heldBy}`);
    return outcome;
  }

  test("is held by one, and the others read its holder", async () => {
    const path = join(dir, "new", "folder", "lock");
    {
      using _lock = taken(path, '{"pid":1}');
      expect(tryLock(path, '{"pid":2}')).toEqual({ heldBy: '{"pid":1}' });
      expect(await readFile(path, "utf8")).toBe('{"pid":1}\n');
    }
    expect(existsSync(path)).toBe(false);
    using again = taken(path, "next");
    expect(again.path).toBe(path);
  });

  test("released twice does not release that of another holder", () => {
    const path = join(dir, "twice");
    const first = taken(path, "first");
    first[Symbol.dispose]();
    using _second = taken(path, "second");
    first[Symbol.dispose]();
    expect(tryLock(path, "third")).toEqual({ heldBy: "second" });
  });

  test("dies with its holder, however it dies, and a child does not keep it", async () => {
    const path = join(dir, "killed");
    const script = `
      const { tryLock } = await import(${modulePath});
      tryLock(${JSON.stringify(path)}, "holder");
      const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
      console.log(child.pid);
      await Bun.sleep(60_000);
    `;
    const holder = Bun.spawn([process.execPath, "-e", script]);
    const { value } = await holder.stdout.getReader().read();
    const childPid = Number(new TextDecoder().decode(value));
    expect(tryLock(path, "us")).toEqual({ heldBy: "holder" });
    holder.kill("SIGKILL");
    await holder.exited;
    expect(process.kill(childPid, 0)).toBe(true);
    taken(path, "us")[Symbol.dispose]();
    process.kill(childPid, "SIGKILL");
  });

  test("waited for is held after its release, with the event loop free meanwhile", async () => {
    const path = join(dir, "waited");
    const first = taken(path, "first");
    const second = acquireLock(path, { pollMs: 5, contents: "second" });
    let isHad = false;
    void second.then(() => {
      isHad = true;
    });
    // Another lock that is waited for in the same way, later and several times: it is had by then.
    for (let round = 0; round < 5; round++) {
      const held = taken(`${path}-other`, "other");
      const other = acquireLock(`${path}-other`, { pollMs: 5, contents: "other" });
      held[Symbol.dispose]();
      (await other)[Symbol.dispose]();
    }
    expect(isHad).toBe(false);
    first[Symbol.dispose]();
    using _second = await second;
    expect(tryLock(path, "third")).toEqual({ heldBy: "second" });
  });

  test("is no longer waited for when the signal says so; the error names the holder", async () => {
    const path = join(dir, "aborted");
    using _lock = taken(path, "the holder");
    const cancel = new AbortController();
    const waiting = acquireLock(path, { signal: cancel.signal }).catch((error: unknown) => error);
    cancel.abort();
    const error = await waiting;
    expect(error).toMatchObject({ code: "aborted" });
    expect(String(error)).toContain("the holder");
  });

  test("excludes, between processes that take and release it as fast as they can", async () => {
    const path = join(dir, "contended");
    const inside = join(dir, "inside");
    const script = `
      const { isLock, tryLock } = await import(${modulePath});
      const { closeSync, openSync, unlinkSync } = await import("node:fs");
      for (let had = 0; had < 500; ) {
        const lock = tryLock(${JSON.stringify(path)}, "");
        if (!isLock(lock)) continue;
        // Fails when another process is inside as well.
        closeSync(openSync(${JSON.stringify(inside)}, "wx"));
        unlinkSync(${JSON.stringify(inside)});
        lock[Symbol.dispose]();
        had += 1;
      }
    `;
    const children = Array.from({ length: 4 }, () => Bun.spawn([process.execPath, "-e", script]));
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0, 0]);
    expect(existsSync(path)).toBe(false);
  });
});
