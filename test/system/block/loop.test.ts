import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, open, readdir, readFile, readlink, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  findLoops,
  listLoops,
  loopAt,
  loopDeviceNumber,
  parseBackingFile,
} from "../../../src/system/block/attached-loops.ts";
import { attachLoop, detachLoop, isHeldExclusively, updateLoopCapacity } from "../../../src/system/block/loop.ts";
import { isInUse } from "../../../src/system/block/openers.ts";
import { runCommand } from "../../../src/system/process/commands.ts";
import { letGoOfOthers } from "../../support/namespaces.ts";

setDefaultTimeout(30_000);
const mebibyte = 2 ** 20;

describe("loop devices", () => {
  let dir: string;
  let serial = 0;

  beforeAll(async () => {
    dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-loop-")));
  });
  afterAll(() => rm(dir, { recursive: true }));

  async function file(content = "content", name = `file ${serial++}.img`): Promise<string> {
    const path = join(dir, name);
    await writeFile(path, content);
    await truncate(path, mebibyte);
    return path;
  }

  const attribute = async (path: string, name: string) =>
    (await readFile(`/sys/block/${basename(path)}/${name}`, "utf8")).trim();

  test("show the file that they are attached to, and are found by it", async () => {
    const path = await file();
    const loop = await attachLoop(path);
    expect((await readFile(loop.path)).subarray(0, 7).toString()).toBe("content");
    expect(await findLoops(path)).toEqual([{ path: loop.path, backingFile: path, deleted: false }]);
    expect(await listLoops()).toContainEqual({ path: loop.path, backingFile: path, deleted: false });
    expect(await loopDeviceNumber(loop.path)).toMatch(/^7:\d+$/);
    await loop[Symbol.asyncDispose]();
    expect(await findLoops(path)).toEqual([]);
  });

  test("that cannot be set up leave nothing open", async () => {
    const path = await file();
    const openLoops = async () =>
      (await Promise.all((await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""))))
        .filter((target) => /^\/dev\/loop\d+$/.test(target))
        .toSorted();
    const before = await openLoops();
    await expect(attachLoop(path, { blockSizeBytes: 3, autoClear: true })).rejects.toMatchObject({ code: "EINVAL" });
    expect(await openLoops()).toEqual(before);
    expect(await findLoops(path)).toEqual([]);
  });

  test("whose file was deleted still tell its name", async () => {
    const path = await file();
    const loop = await attachLoop(path);
    await rm(path);
    expect(await loopAt(loop.path)).toEqual({ path: loop.path, backingFile: path, deleted: true });
    await detachLoop(loop.path, path);
    expect(await findLoops(path)).toEqual([]);
  });

  test("carry what was written to the file when they are taken off", async () => {
    const path = await file();
    const loop = await attachLoop(path, { directIo: true });
    await writeFile(loop.path, "written through the device");
    await detachLoop(loop.path, path);
    expect((await readFile(path)).subarray(0, 26).toString()).toBe("written through the device");
  });

  test("take the options asked for", async () => {
    const path = await file();
    await using readOnly = await attachLoop(path, { readOnly: true, blockSizeBytes: 4096, directIo: true });
    expect(await attribute(readOnly.path, "ro")).toBe("1");
    expect(await attribute(readOnly.path, "queue/logical_block_size")).toBe("4096");
    expect(await attribute(readOnly.path, "loop/dio")).toBe("1");
    expect(await attribute(readOnly.path, "loop/autoclear")).toBe("0");
  });

  test("with autoClear last as long as their holder", async () => {
    const path = await file();
    {
      await using loop = await attachLoop(path, { autoClear: true });
      expect(await loopAt(loop.path)).toMatchObject({ backingFile: path });
    }
    expect(await findLoops(path)).toEqual([]);
  });

  test("stay, untouched, when they are in use", async () => {
    const path = await file();
    const loop = await attachLoop(path);
    for (const flags of ["r", "r+"]) {
      {
        await using _user = await open(loop.path, flags);
        await expect(detachLoop(loop.path, path)).rejects.toMatchObject({ code: "failed_precondition" });
      }
      expect(await loopAt(loop.path)).toMatchObject({ backingFile: path });
      expect(await attribute(loop.path, "loop/autoclear")).toBe("0");
    }
    await detachLoop(loop.path, path);
    await detachLoop(loop.path, path);
    expect(await findLoops(path)).toEqual([]);
  });

  test("that have another file are not taken off", async () => {
    const path = await file();
    await using loop = await attachLoop(path);
    await detachLoop(loop.path, join(dir, "another"));
    expect(await loopAt(loop.path)).toMatchObject({ backingFile: path });
  });

  test("grow with their file", async () => {
    const path = await file();
    await using loop = await attachLoop(path);
    await truncate(path, 3 * mebibyte);
    await updateLoopCapacity(loop.path);
    expect(Number(await attribute(loop.path, "size")) * 512).toBe(3 * mebibyte);
  });

  test("are in use when mounted, or open in another process", async () => {
    const path = await file();
    await using loop = await attachLoop(path);
    expect(await isInUse(loop.path)).toBe(false);
    const reader = Bun.spawn(["sh", "-c", `exec 3<${loop.path}; echo open; read -r line`], { stdin: "pipe" });
    await reader.stdout.getReader().read();
    expect(await isHeldExclusively(loop.path)).toBe(false);
    expect(await isInUse(loop.path)).toBe(true);
    await reader.stdin.end();
    await reader.exited;
    expect(await isInUse(loop.path)).toBe(false);
  });

  test("go to different files, however many ask at once", async () => {
    const paths = await Promise.all(Array.from({ length: 24 }, (_, index) => file(`file ${index}`)));
    const loops = await Promise.all(paths.map((path) => attachLoop(path)));
    expect(new Set(loops.map((loop) => loop.path)).size).toBe(24);
    for (const [index, loop] of loops.entries())
      expect((await loopAt(loop.path))?.backingFile).toBe(paths[index] ?? "");
    await Promise.all(loops.map((loop) => loop[Symbol.asyncDispose]()));
  });

  test("get a node where /dev is not the kernel's own", async () => {
    const path = await file("seen", "plain.img");
    const script = `
      const { attachLoop } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/system/block/loop.ts"))});
      const { readFileSync } = await import("node:fs");
      await using loop = await attachLoop(${JSON.stringify(path)});
      console.log(readFileSync(loop.path).subarray(0, 4).toString());
    `;
    const bareDev = `
      ${letGoOfOthers(path)}
      mount -t tmpfs none /dev
      mknod /dev/null c 1 3; mknod /dev/zero c 1 5; mknod /dev/urandom c 1 9; mknod /dev/loop-control c 10 237
      exec "$0" -e "$1" </dev/null
    `;
    const args = ["--mount", "--propagation", "private", "sh", "-ec", bareDev, process.execPath, script];
    expect((await runCommand("unshare", args)).stdout).toBe("seen");
    expect(await findLoops(path)).toEqual([]);
  });

  test("have their file's name read as sysfs writes it", () => {
    const cases = [
      ["/a/b.img\n", "/a/b.img", false],
      ["/a/with space\t.img\n", "/a/with space\t.img", false],
      ["/a/b.img (deleted)\n", "/a/b.img", true],
      ["/a/line\nbreak.img\n", "/a/line\nbreak.img", false],
    ] as const;
    for (const [line, backingFile, deleted] of cases) expect(parseBackingFile(line)).toEqual({ backingFile, deleted });
  });
});
