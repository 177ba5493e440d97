// Room: test. Owns the application of one layer to a device: the result, and the errors.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, open as openFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSnapmillError, type SnapmillError } from "../../src/domain/errors.ts";
import { attachLoop, type LoopDevice } from "../../src/system/block/loop.ts";
import { mountAt, unmount } from "../../src/system/mount/mounts.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { applyLayer } from "../../src/unpack/layer.ts";
import type { ApplyRequest } from "../../src/unpack/protocol.ts";
import { blobForms } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { directory as dir, file, opaque, whiteout } from "../support/tar-entries.ts";
import { describeTree, type Tree } from "../support/trees.ts";
import { until } from "../support/until.ts";
import { requestFor } from "./requests.ts";
import { isOpen, makeExt4 } from "./scratch.ts";

setDefaultTimeout(60_000);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-layer-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function device(sizeBytes = 64 * 2 ** 20, options: { fsType?: "ext4" | "xfs" } = {}): Promise<LoopDevice> {
  const path = join(directory, crypto.randomUUID());
  if (options.fsType === "xfs") {
    await writeFile(path, "");
    await runCommand("truncate", ["-s", String(sizeBytes), path]);
    await runCommand("mkfs.xfs", ["-q", path]);
  } else await makeExt4(path, sizeBytes);
  return attachLoop(path, { autoClear: false });
}

/** What is on the device, seen through a mount of its own. */
async function contentOf(path: string, fsType: "ext4" | "xfs" = "ext4"): Promise<Tree> {
  const mounted = await mkdtemp(join(directory, "mounted-"));
  await mountAt(path, mounted, fsType, ["ro"]);
  try {
    return new Map([...describeTree(mounted)].filter(([name]) => name !== "lost+found"));
  } finally {
    await unmount(mounted);
  }
}

/** Free: neither mounted nor held. */
async function isFree(path: string): Promise<boolean> {
  const exclusive = 0o200;
  try {
    await (await openFile(path, exclusive)).close();
    return true;
  } catch {
    return false;
  }
}

async function failureOf(request: ApplyRequest): Promise<SnapmillError> {
  try {
    await applyLayer(request, () => undefined);
  } catch (error) {
    if (isSnapmillError(error)) return error;
    throw error;
  }
  throw new Error("the layer was applied");
}

const base = tar([
  dir("d", { mtimeNs: 7n }),
  file("d/a", "a"),
  file("d/b", Buffer.alloc(300_000, "b")),
  file("etc/conf", "1"),
]);

const fileSystem = (path: string) => ({ kind: "file-system", path }) as const;

describe("a layer", () => {
  for (const form of blobForms) {
    test(`stored as ${form} is on the device when it is applied, and the device is free`, async () => {
      await using loop = await device();
      const seen: number[] = [];
      const request = await requestFor(directory, loop.path, base, form);
      const applied = await applyLayer(request, (readBytes) => seen.push(readBytes));
      expect(applied).toMatchObject({ bytes: base.length, entries: 4 });
      expect(seen.at(-1)).toBe(request.blob.lengthBytes);
      expect(await isFree(loop.path)).toBe(true);
      expect([...(await contentOf(loop.path)).keys()]).toEqual(["", "d", "d/a", "d/b", "etc", "etc/conf"]);
    });
  }

  test("changes what the layers below it left on the device", async () => {
    await using loop = await device();
    await applyLayer(await requestFor(directory, loop.path, base), () => undefined);
    const upper = tar([whiteout("d/a"), opaque("etc"), file("etc/new", "2")]);
    await applyLayer(await requestFor(directory, loop.path, upper), () => undefined);
    const tree = await contentOf(loop.path);
    expect([...tree.keys()]).toEqual(["", "d", "d/b", "etc", "etc/new"]);
    expect(tree.get("d")?.["mtimeNs"]).toBe("7");
  });

  test("goes onto xfs too", async () => {
    await using loop = await device(400 * 2 ** 20, { fsType: "xfs" });
    await applyLayer(
      { ...(await requestFor(directory, loop.path, base)), fsType: "xfs", mountOptions: ["nouuid"] },
      () => undefined,
    );
    expect([...(await contentOf(loop.path, "xfs")).keys()]).toContain("etc/conf");
  });

  test("may be part of a larger file", async () => {
    await using loop = await device();
    const request = await requestFor(directory, loop.path, base, "gzip", { before: 1000, behind: 77 });
    await applyLayer(request, () => undefined);
    expect([...(await contentOf(loop.path)).keys()]).toContain("d/b");
  });
});

describe("the next layer", () => {
  const large = tar(Array.from({ length: 40 }, (_, index) => file(`f${index}`, Buffer.alloc(2 ** 20, index))));

  test("is read ahead when this one is there, and applied from that", async () => {
    await using loop = await device(128 * 2 ** 20);
    const next = await requestFor(directory, loop.path, large);
    await applyLayer({ ...(await requestFor(directory, loop.path, base, "gzip")), next }, () => undefined);
    await until("the next blob is open", () => isOpen(next.blob.path));
    // An open blob is read on although its file is deleted; opening it again would fail.
    await rm(next.blob.path);
    expect(await applyLayer(next, () => undefined)).toMatchObject({ bytes: large.length, entries: 40 });
  });

  test("is given up when this one is refused", async () => {
    await using loop = await device();
    const next = await requestFor(directory, loop.path, large);
    const hostile = await requestFor(directory, loop.path, tar([file(".wh...")]));
    expect((await failureOf({ ...hostile, next })).message).toContain("whiteout");
    await rm(next.blob.path);
    expect((await failureOf(next)).message).toContain("ENOENT");
  });
});

describe("a layer that is not what it should be is refused, and the device is free again", () => {
  const other = `sha256:${"0".repeat(64)}`;

  test("when its digest is another", async () => {
    await using loop = await device();
    const request = await requestFor(directory, loop.path, base, "gzip");
    const failure = await failureOf({ ...request, digest: other as ApplyRequest["digest"] });
    expect(failure.code).toBe("invalid_argument");
    expect(failure.message).toBe(`the layer's digest does not match: expected ${other}, got ${request.digest}`);
    expect(await isFree(loop.path)).toBe(true);
  });

  test("when its diff ID is another", async () => {
    await using loop = await device();
    const request = await requestFor(directory, loop.path, base, "zstd");
    const failure = await failureOf({ ...request, diffId: other as ApplyRequest["diffId"] });
    expect(failure.message).toBe(`the layer's diff ID does not match: expected ${other}, got ${request.diffId}`);
    expect(await isFree(loop.path)).toBe(true);
  });

  test("when too much follows its end marker, without waiting for the rest; what tape programs write is fine", async () => {
    await using loop = await device();
    const padded = (lengthBytes: number) =>
      requestFor(directory, loop.path, Buffer.concat([base, Buffer.alloc(lengthBytes)]), "zstd");
    await applyLayer(await padded(2 ** 20), () => undefined);
    const failure = await failureOf({ ...(await padded(2 ** 25)), diffId: other as ApplyRequest["diffId"] });
    expect(failure.code).toBe("invalid_argument");
    expect(failure.message).toContain("continues for more than 16.0 MiB after the end of its tar");
    expect(await isFree(loop.path)).toBe(true);
  });

  test("when bytes behind its end marker were changed", async () => {
    await using loop = await device();
    const padded = Buffer.concat([base, Buffer.alloc(2048)]);
    const request = await requestFor(directory, loop.path, padded);
    padded[padded.length - 1] = 1;
    await writeFile(request.blob.path, padded);
    expect((await failureOf(request)).message).toContain("digest does not match");
  });

  test("when it is truncated, hostile or no tar at all", async () => {
    await using loop = await device();
    for (const [bytes, reason] of [
      [base.subarray(0, 512 * 3 + 1), "truncated"],
      [tar([file("d/.wh...", "")]), "whiteout"],
      [Buffer.alloc(4096, "no tar"), "not a tar header"],
    ] as const) {
      const failure = await failureOf(await requestFor(directory, loop.path, bytes, "gzip"));
      expect([failure.code, failure.message.includes(reason)]).toEqual(["invalid_argument", true]);
      expect(await isFree(loop.path)).toBe(true);
    }
  });
});

describe("a layer without room is refused as resource_exhausted, and the device is free again", () => {
  const large = tar(Array.from({ length: 40 }, (_, index) => file(`f${index}`, Buffer.alloc(2 ** 20, index + 1))));

  test("when the file system has no blocks left", async () => {
    await using loop = await device(16 * 2 ** 20);
    const failure = await failureOf(await requestFor(directory, loop.path, large, "zstd"));
    expect(failure.code).toBe("resource_exhausted");
    expect(failure.message).toContain("does not fit on its device, which is full");
    expect(failure.message).toContain("SNAPMILL_DEVICE_SIZE");
    expect(await isFree(loop.path)).toBe(true);
  });

  test("when the file system has no inodes left", async () => {
    await using loop = await device(8 * 2 ** 20);
    const many = tar(Array.from({ length: 5000 }, (_, index) => file(`f${index}`)));
    const failure = await failureOf(await requestFor(directory, loop.path, many, "gzip"));
    expect(failure.code).toBe("resource_exhausted");
    expect(failure.message).toMatch(/all \d+ inodes of its file system are used.*SNAPMILL_DEVICE_SIZE/);
    expect(await isFree(loop.path)).toBe(true);
  });

  test("when what lies under the device runs full: syncfs says it, not a later reader", async () => {
    const host = await mkdtemp(join(directory, "host-"));
    await mkdir(join(host, "tmpfs"));
    await mountAt("none", join(host, "tmpfs"), "tmpfs", ["size=12m"]);
    try {
      const sparse = join(host, "tmpfs", "device");
      await makeExt4(sparse, 128 * 2 ** 20);
      await using loop = await attachLoop(sparse);
      // The layer is in the page cache before a look could find too little.
      const layer = tar(Array.from({ length: 24 }, (_, index) => file(`f${index}`, Buffer.alloc(2 ** 20, index + 1))));
      const request = await requestFor(directory, loop.path, layer);
      const spaceGuards = [{ source: fileSystem(join(host, "tmpfs")), owner: "host", minFreeBytes: 2 ** 20 } as const];
      const failure = await failureOf({ ...request, spaceGuards });
      expect(failure.code).toBe("resource_exhausted");
      expect(failure.message).toMatch(/the host's disk .* must stay/);
      expect(await isFree(loop.path)).toBe(true);
    } finally {
      await unmount(join(host, "tmpfs"));
    }
  });

  test("when the guarded space runs below its limit: it is looked at also within a chunk", async () => {
    await using loop = await device(256 * 2 ** 20);
    // Each makes a hundred directories of a block, of which the archive has no entry.
    const way = "d/".repeat(100);
    const layer = tar(Array.from({ length: 200 }, (_, index) => file(`${index}/${way}f`)));
    const request = await requestFor(directory, loop.path, layer);
    let looks = 0;
    const counted = {
      source: fileSystem(directory),
      owner: "host" as const,
      get minFreeBytes() {
        looks++;
        return 0;
      },
    };
    await applyLayer({ ...request, spaceGuards: [counted] }, () => undefined);
    // At the start, at the first entry, and again for each 32 MiB that the directories take.
    expect(looks).toBeGreaterThan(3);
  });

  test("when the guarded space is below its limit, before anything is mounted", async () => {
    const spaceGuards = [{ source: fileSystem(directory), owner: "pool", minFreeBytes: 2 ** 52 } as const];
    const request = await requestFor(directory, "/dev/null", base);
    const failure = await failureOf({ ...request, spaceGuards });
    expect(failure.code).toBe("resource_exhausted");
    expect(failure.message).toContain(`the pool (the file system of ${directory})`);
  });
});

test("a device that cannot be mounted is named", async () => {
  const request = await requestFor(directory, join(directory, "missing"), base);
  expect(applyLayer(request, () => undefined)).rejects.toThrow("missing");
  expect((await stat(request.blob.path)).size).toBe(base.length);
});
