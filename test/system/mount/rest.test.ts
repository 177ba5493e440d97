// Tests rest: how a mounted file system gets there and goes on, and why it is not a freeze.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attachLoop, isHeldExclusively, type LoopDevice } from "../../../src/system/block/loop.ts";
import { mountDetached } from "../../../src/system/mount/detached.ts";
import { draftMountOptions, makeFileSystem, mountOptions } from "../../../src/system/mount/filesystems.ts";
import { mountAt, thaw, unmount } from "../../../src/system/mount/mounts.ts";
import { bringToRest, hasNothingToReplay, isMountedAtRest, wake } from "../../../src/system/mount/rest.ts";

setDefaultTimeout(60_000);

const sources = join(import.meta.dir, "../../../src/system/mount");

for (const fsType of ["ext4", "xfs"] as const) {
  describe(`a mounted ${fsType}`, () => {
    let dir: string;
    let image: string;
    let loop: LoopDevice;
    beforeAll(async () => {
      dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-rest-")));
      image = join(dir, "image");
      await writeFile(image, "");
      await truncate(image, 320 * 2 ** 20);
      loop = await attachLoop(image);
      await makeFileSystem({ devicePath: loop.path, fsType, fresh: true });
    });
    afterAll(async () => {
      await loop[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    });
    const mounted = () =>
      mountDetached({ source: loop.path, fsType, options: draftMountOptions(fsType), readOnly: false });

    test("is at rest when it is brought there, with nothing to replay, and accepts no write then", async () => {
      expect(await hasNothingToReplay(image)).toBe(true);
      {
        using mount = mounted();
        const file = `/proc/self/fd/${mount.fd}/file`;
        for (let round = 0; round < 3; round++) {
          await writeFile(file, `round ${round}`);
          expect(await isMountedAtRest(loop.path)).toBe(false);
          bringToRest(mount.fd, "it");
          expect(await isMountedAtRest(loop.path)).toBe(true);
          expect(await hasNothingToReplay(image)).toBe(true);
          await expect(writeFile(file, "x")).rejects.toMatchObject({ code: "EROFS" });
          wake(mount.fd, "it");
          expect(await isMountedAtRest(loop.path)).toBe(false);
        }
        await writeFile(file, "awake", { flush: true });
        expect(await hasNothingToReplay(image)).toBe(false);
      }
      expect(await hasNothingToReplay(image)).toBe(true);
    });

    test("does not come to rest while a file in it is open for writing", () => {
      using mount = mounted();
      const opened = openSync(`/proc/self/fd/${mount.fd}/file`, "w");
      expect(() => bringToRest(mount.fd, "the device of a layer")).toThrow(/the device of a layer.*EBUSY/);
      closeSync(opened);
      bringToRest(mount.fd, "it");
    });

    /** The kernel's path of the superblock after the death of the process that had it mounted, and did `act` to it. */
    async function killedAfter(act: string): Promise<void> {
      const options = JSON.stringify({
        source: loop.path,
        fsType,
        options: mountOptions(fsType, false),
        readOnly: false,
      });
      const script = `
        const { mountDetached } = await import("${sources}/detached.ts");
        const { bringToRest } = await import("${sources}/rest.ts");
        const mount = mountDetached(${options});
        await Bun.write("/proc/self/fd/" + mount.fd + "/file", "x");
        ${act}
        process.kill(process.pid, "SIGKILL");
        await Bun.sleep(60_000);`;
      const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
    }

    test("that is at rest goes with the process that has it mounted, and leaves the device free", async () => {
      await killedAfter(`bringToRest(mount.fd, "it");`);
      expect(await isHeldExclusively(loop.path)).toBe(false);
      expect(await hasNothingToReplay(image)).toBe(true);
    });

    // Why rest is no freeze: if a kernel ends a freeze with its last mount one day, a freeze would do as well.
    test("that is frozen outlives the process that has it mounted, until it is mounted again and thawed", async () => {
      const point = join(dir, "point");
      await mkdir(point);
      await killedAfter(`
        const { freeze } = await import("${sources}/mounts.ts");
        await freeze("/proc/" + process.pid + "/fd/" + mount.fd + "/.");`);
      expect(await isHeldExclusively(loop.path)).toBe(true);
      await mountAt(loop.path, point, fsType, mountOptions(fsType, false));
      await thaw(point);
      await unmount(point);
      expect(await isHeldExclusively(loop.path)).toBe(false);
    });
  });
}

test("what is no file system of ours is never at rest", async () => {
  const dir = await mkdtemp(join(tmpdir(), "snapmill-rest-"));
  for (const content of ["", "x".repeat(5000)]) {
    await writeFile(join(dir, "file"), content);
    expect(await hasNothingToReplay(join(dir, "file"))).toBe(false);
    expect(await isMountedAtRest(join(dir, "file"))).toBe(false);
  }
  await rm(dir, { recursive: true });
});
