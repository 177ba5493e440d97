// Owns what a checkpoint of a device must contain: all of one moment, with nothing to replay, while its origin goes on.
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DeviceRef } from "../../src/domain/devices.ts";
import { fsTypes } from "../../src/domain/devices.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { mountOptions } from "../../src/system/mount/filesystems.ts";
import { bringToRest, hasNothingToReplay, wake } from "../../src/system/mount/rest.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { type DriverFixture, mebibyte, rejects } from "./driver-fixture.ts";

/** Declares the tests of checkpoints. */
export function describeCheckpoints(fixture: DriverFixture): void {
  const { nextDevice, pathOf, formatted, put, get, whileMountedAt, remove, found } = fixture;

  async function expectAtRest(device: DeviceRef): Promise<void> {
    await fixture.driver.activate(device);
    expect(await hasNothingToReplay(pathOf(device))).toBe(true);
  }

  for (const fsType of fsTypes) {
    test(`a checkpoint of a mounted ${fsType} at rest is of that moment, and the origin goes on`, async () => {
      const origin = await formatted(320 * mebibyte, fsType);
      const [first, second] = [nextDevice(origin.sizeBytes), nextDevice(origin.sizeBytes)];
      {
        const options = mountOptions(fsType, false);
        using mount = mountDetached({ source: pathOf(origin), fsType, options, readOnly: false });
        for (const [number, checkpoint] of [first, second].entries()) {
          await writeFile(`/proc/self/fd/${mount.fd}/file`, `number ${number} `.repeat(10_000));
          bringToRest(mount.fd, "the origin");
          await fixture.driver.checkpoint(origin, checkpoint);
          wake(mount.fd, "the origin");
          await writeFile(`/proc/self/fd/${mount.fd}/later`, "x");
        }
      }
      for (const [number, checkpoint] of [first, second].entries()) {
        expect(await found(checkpoint)).toMatchObject({ inPool: true, active: false });
        await expectAtRest(checkpoint);
        expect(await get(checkpoint, "file", fsType)).toBe(`number ${number} `.repeat(10_000));
        expect(await get(checkpoint, "later", fsType)).toBe(number === 0 ? "absent" : "x");
      }
      expect(await get(origin, "later", fsType)).toBe("x");
      await remove(second, first, origin);
    });
  }

  test("a checkpoint of what is mounted at a directory, and written to, has nothing to replay", async () => {
    const origin = await formatted();
    const child = nextDevice();
    await whileMountedAt(origin, async (dir) => {
      await writeFile(join(dir, "written"), "x".repeat(100_000));
      await fixture.driver.checkpoint(origin, child);
      await writeFile(join(dir, "later"), "the origin can be written to again");
    });
    await expectAtRest(child);
    await runCommand("e2fsck", ["-f", "-n", pathOf(child)]);
    expect(await get(child, "written")).toBe("x".repeat(100_000));
    expect(await get(child, "later")).toBe("absent");
    expect(await get(origin, "later")).toBe("the origin can be written to again");
    await remove(child, origin);
  });

  test("a checkpoint of what is not mounted takes the place of one that was half-made", async () => {
    const origin = await formatted();
    await put(origin, "file", "before");
    const child = nextDevice();
    await fixture.driver.checkpoint(origin, child);
    await put(origin, "file", "after");
    await fixture.driver.checkpoint(origin, child);
    await fixture.driver.activate(child);
    expect(await get(child, "file")).toBe("after");
    await remove(child, origin);
  });

  test("a checkpoint of nothing is not found, and one smaller than its origin is refused", async () => {
    await rejects(fixture.driver.checkpoint(nextDevice(), nextDevice()), "not_found", "");
    const origin = await formatted();
    const smaller = nextDevice(32 * mebibyte);
    await rejects(fixture.driver.checkpoint(origin, smaller), "invalid_argument", smaller.deviceName);
    expect(await found(smaller)).toBeUndefined();
    await remove(origin);
  });
}
