import { dlopen, FFIType, ptr } from "bun:ffi";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attachLoop, isHeldExclusively, type LoopDevice, updateLoopCapacity } from "../../../src/system/block/loop.ts";
import { isErrno } from "../../../src/system/ffi/errno.ts";
import { spaceOf } from "../../../src/system/file/space.ts";
import { mountDetached } from "../../../src/system/mount/detached.ts";
import {
  draftMountOptions,
  growFileSystem,
  hasRecordedErrors,
  makeFileSystem,
  mountOptions,
} from "../../../src/system/mount/filesystems.ts";
import { isMountPoint, mountAtDir, mountInfo, parseMountInfo } from "../../../src/system/mount/mountinfo.ts";
import { freeze, mountAt, thaw, unmount } from "../../../src/system/mount/mounts.ts";
import { runCommand } from "../../../src/system/process/commands.ts";
import { untilInKernel } from "../../support/processes.ts";

setDefaultTimeout(60_000);
const mebibyte = 2 ** 20;

const libc = dlopen("libc.so.6", { fstatvfs: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 } });

/** Of a mount that is in no mount table: f_flag of statvfs(3). */
function attributesOf(fd: number): string[] {
  const answer = Buffer.alloc(256);
  expect(libc.symbols.fstatvfs(fd, ptr(answer))).toBe(0);
  const flags = answer.readUInt32LE(72);
  return Object.entries({ nodev: 4, noexec: 8, nosuid: 2 }).flatMap(([name, bit]) => (flags & bit ? [name] : []));
}

for (const fsType of ["ext4", "xfs"] as const) {
  describe(`an ${fsType} of ours`, () => {
    let dir: string;
    let point: string;
    let image: string;
    let loop: LoopDevice;

    beforeAll(async () => {
      dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-mounts-")));
      point = join(dir, "a mount\tpoint");
      image = join(dir, "image");
      await mkdir(point);
      await writeFile(image, "");
      await truncate(image, 320 * mebibyte);
      loop = await attachLoop(image, { directIo: true });
      await makeFileSystem({ devicePath: loop.path, fsType, fresh: true });
    });
    afterAll(async () => {
      await loop[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    });

    const detached = (readOnly = false, options = mountOptions(fsType, readOnly)) =>
      mountDetached({ source: loop.path, fsType, options, readOnly });

    test("is empty, its root 0755 and root's, and took little of the device", async () => {
      using mount = detached();
      const root = `/proc/self/fd/${mount.fd}/`;
      expect(await readdir(root)).toEqual([]);
      expect(await stat(root)).toMatchObject({ mode: 0o40755, uid: 0, gid: 0 });
      expect((await stat(image)).blocks * 512).toBeLessThan(70 * mebibyte);
    });

    test("has an inode for every block of 4 KiB: small files run out of blocks first", async () => {
      using mount = detached(true);
      const { files, blocks, bsize } = await statfs(`/proc/self/fd/${mount.fd}/`);
      // Of the blocks, statfs leaves out those that inode tables and journal take; xfs makes inodes as needed, in half of all.
      expect(files * 4096).toBeGreaterThan((blocks * bsize) / 2);
    });

    test("mounted without a mount point, is nowhere in the mount table and goes with its descriptor", async () => {
      {
        using mount = detached(false, draftMountOptions(fsType));
        await writeFile(`/proc/self/fd/${mount.fd}/file`, "content");
        expect(await isHeldExclusively(loop.path)).toBe(true);
        expect((await mountInfo()).filter((entry) => entry.source === loop.path)).toEqual([]);
        expect(attributesOf(mount.fd)).toEqual(["nodev", "noexec", "nosuid"]);
      }
      expect(await isHeldExclusively(loop.path)).toBe(false);
      using again = detached();
      expect(await readFile(`/proc/self/fd/${again.fd}/file`, "utf8")).toBe("content");
    });

    test("mounted read-only, takes no write", async () => {
      using mount = detached(true);
      await expect(writeFile(`/proc/self/fd/${mount.fd}/other`, "")).rejects.toMatchObject({ code: "EROFS" });
    });

    test("says in its own words why it cannot be mounted", async () => {
      expect(() => detached(false, ["no-such-option"])).toThrow("Unknown parameter 'no-such-option'");
      const other = fsType === "xfs" ? "ext4" : "xfs";
      expect(() => mountDetached({ source: loop.path, fsType: other, options: [], readOnly: false })).toThrow("EINVAL");
      expect(await isHeldExclusively(loop.path)).toBe(false);
    });

    test("mounted at a directory, is in the mount table, and is busy while a file is open", async () => {
      expect(await isMountPoint(point)).toBe(false);
      await mountAt(loop.path, point, fsType, mountOptions(fsType, false));
      expect(await mountAtDir(point)).toMatchObject({ mountPoint: point, source: loop.path, fsType, root: "/" });
      expect((await mountAtDir(point))?.options).toEqual(expect.arrayContaining(["nosuid", "nodev", "noexec"]));
      const fd = openSync(join(point, "file"), "r");
      await expect(unmount(point)).rejects.toMatchObject({ code: "failed_precondition" });
      closeSync(fd);
      await unmount(point);
      await unmount(point);
      expect(await isMountPoint(point)).toBe(false);
    });

    test("frozen, it holds writers back; freezing and thawing twice is no failure", async () => {
      await mountAt(loop.path, point, fsType, mountOptions(fsType, false));
      expect(await freeze(point)).toBe(true);
      expect(await freeze(point)).toBe(false);
      const writer = runCommand("touch", [join(point, "waited")]);
      await untilInKernel(`touch ${join(point, "waited")}`);
      await thaw(point);
      await writer;
      await thaw(point);
      await unmount(point);
    });

    test("grows to the size of its device and keeps its content", async () => {
      await truncate(image, 640 * mebibyte);
      await updateLoopCapacity(loop.path);
      await growFileSystem(loop.path, fsType);
      using mount = detached();
      expect((await spaceOf(`/proc/self/fd/${mount.fd}/`)).totalBytes).toBeGreaterThan(500 * mebibyte);
      expect(await readFile(`/proc/self/fd/${mount.fd}/file`, "utf8")).toBe("content");
      expect((await mountInfo()).filter((entry) => entry.source === loop.path)).toEqual([]);
    });
  });
}

test("a process killed with a detached mount leaves the device free", async () => {
  const dir = await mkdtemp(join(tmpdir(), "snapmill-mounts-"));
  const image = join(dir, "image");
  await writeFile(image, "");
  await truncate(image, 64 * mebibyte);
  await using loop = await attachLoop(image);
  await makeFileSystem({ devicePath: loop.path, fsType: "ext4", fresh: true });
  const script = `
    const { mountDetached } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/system/mount/detached.ts"))});
    const mount = mountDetached({ source: "${loop.path}", fsType: "ext4", options: [], readOnly: false });
    await Bun.write("/proc/self/fd/" + mount.fd + "/file", "x");
    console.log("mounted");
    await Bun.sleep(60_000);
  `;
  const child = Bun.spawn([process.execPath, "-e", script]);
  await child.stdout.getReader().read();
  expect(await isHeldExclusively(loop.path)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  expect(await isHeldExclusively(loop.path)).toBe(false);
  await rm(dir, { recursive: true });
});

test("a mount that is cancelled although it is done already is undone", async () => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-mounts-")));
  const [image, point, programs] = ["image", "point", "programs"].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const made of [point, programs]) await mkdir(made);
  await writeFile(image, "");
  await truncate(image, 64 * mebibyte);
  await using loop = await attachLoop(image);
  await makeFileSystem({ devicePath: loop.path, fsType: "ext4", fresh: true });
  // A mount(8) that takes its time to end.
  const slow = `#!/bin/sh\n${String(Bun.which("mount"))} "$@"\nexec sleep 60\n`;
  await writeFile(join(programs, "mount"), slow, { mode: 0o755 });
  const source = (path: string) => JSON.stringify(join(import.meta.dir, "../../../src", path));
  const script = `
    const { AbortReason, Canceller } = await import(${source("domain/cancellation.ts")});
    const { isMountPoint } = await import(${source("system/mount/mountinfo.ts")});
    const { mountAt } = await import(${source("system/mount/mounts.ts")});
    const canceller = new Canceller();
    const mounting = mountAt("${loop.path}", "${point}", "ext4", [], { signal: canceller.signal });
    while (!(await isMountPoint("${point}"))) await Bun.sleep(10);
    canceller.cancel(new AbortReason("interrupted", "enough"));
    console.log(await mounting.catch((error) => error.code), await isMountPoint("${point}"));
  `;
  const inFront = 'PATH="$0:$PATH" exec "$1" -e "$2"';
  const child = Bun.spawn(["sh", "-c", inFront, programs, process.execPath, script]);
  try {
    expect(await new Response(child.stdout).text()).toBe("aborted false\n");
  } finally {
    await unmount(point);
    await rm(dir, { recursive: true });
  }
});

test("an ext4 that lost data remembers it, and one in good order does not", async () => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "snapmill-mounts-")));
  // A tmpfs that is too small for what the device promises.
  await mountAt("none", dir, "tmpfs", ["size=40m"]);
  const image = join(dir, "image");
  await writeFile(image, "");
  await truncate(image, 256 * mebibyte);
  try {
    await using loop = await attachLoop(image);
    await makeFileSystem({ devicePath: loop.path, fsType: "ext4", fresh: true });
    expect(await hasRecordedErrors(loop.path)).toBe(false);
    {
      using mount = mountDetached({ source: loop.path, fsType: "ext4", options: [], readOnly: false });
      const root = `/proc/self/fd/${mount.fd}`;
      // The journal notices data that fails while it commits; what was written back before is an fsync's to tell. So
      // each file is flushed, until the file system has had enough.
      for (let count = 0; count < 20; count++) {
        const failed = await writeFile(join(root, `big-${count}`), Buffer.alloc(10 * mebibyte, 1), {
          flush: true,
        }).then(
          () => false,
          (error: unknown) => isErrno(error, "EROFS"),
        );
        if (failed) break;
      }
    }
    expect(await hasRecordedErrors(loop.path)).toBe(true);
  } finally {
    await unmount(dir);
    await rm(dir, { recursive: true });
  }
});

describe("a mountinfo text", () => {
  test("is read field by field, with optional fields and octal escapes", () => {
    const text = [
      "36 35 98:0 /mnt1 /mnt/with\\040space rw,noatime master:1 shared:2 - ext3 /dev/a\\134b rw,errors=continue",
      "21 26 0:20 / /proc rw,relatime - proc proc rw",
      "37 26 7:3 / /tab\\011and\\012newline ro - xfs /dev/loop3 ro,nouuid",
      "",
      "not a mount",
    ].join("\n");
    expect(parseMountInfo(text)).toEqual([
      {
        mountId: 36,
        parentId: 35,
        deviceNumber: "98:0",
        root: "/mnt1",
        mountPoint: "/mnt/with space",
        options: ["rw", "noatime"],
        fsType: "ext3",
        source: "/dev/a\\b",
        superOptions: ["rw", "errors=continue"],
      },
      {
        mountId: 21,
        parentId: 26,
        deviceNumber: "0:20",
        root: "/",
        mountPoint: "/proc",
        options: ["rw", "relatime"],
        fsType: "proc",
        source: "proc",
        superOptions: ["rw"],
      },
      {
        mountId: 37,
        parentId: 26,
        deviceNumber: "7:3",
        root: "/",
        mountPoint: "/tab\tand\nnewline",
        options: ["ro"],
        fsType: "xfs",
        source: "/dev/loop3",
        superOptions: ["ro", "nouuid"],
      },
    ]);
  });

  test("of this machine names /proc, and no directory that is none", async () => {
    expect(await mountAtDir("/proc")).toMatchObject({ fsType: "proc" });
    expect(await isMountPoint("/proc")).toBe(true);
    expect(await isMountPoint("/proc/self")).toBe(false);
    expect(await isMountPoint("/no/such/directory")).toBe(false);
  });
});
