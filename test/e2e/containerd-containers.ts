// Owns the tests of containers on snapshots: they run, are committed to images, and keep their snapshots in use.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeBoxImage } from "../support/box-image.ts";
import type { ContainerdFixture } from "../support/containerd-fixture.ts";
import { until } from "../support/until.ts";
import { archiveOf, collectGarbage, lookInto, removeImages } from "./containerd-core.ts";

/** What containers need beside containerd. */
export const containerPrograms = ["runc", "containerd-shim-runc-v2", "busybox"] as const;

async function importBox({ snapmill, importImage }: ContainerdFixture): Promise<void> {
  const layout = join(snapmill.directory, "box");
  const { layers } = await writeBoxImage(layout);
  await importImage((await archiveOf(layout, layers)).path, "box");
}

/** A running container, ended with its scope; `shell` runs a line in it and returns what that prints. */
async function startContainer({ containerd }: ContainerdFixture, name: string) {
  await containerd.ctr("run", "--detach", "--snapshotter", "snapmill", "box:test", name, "/bin/sh", "-c", "sleep 3600");
  let shells = 0;
  return {
    shell(line: string): Promise<string> {
      shells += 1;
      return containerd.ctr("task", "exec", "--exec-id", `shell-${shells}`, name, "/bin/sh", "-c", line);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await containerd.ctr("task", "kill", "--signal", "SIGKILL", name);
      // A killed task may not have ended yet.
      await until(
        `container ${name} has ended`,
        () => containerd.try("task", "delete", name),
        ({ stderr }) => !stderr.includes("must be stopped"),
        60_000,
      );
      await containerd.ctr("containers", "delete", name);
    },
  };
}

/** Declares the tests. */
export function describeContainers(fixture: () => ContainerdFixture): void {
  test("a container runs from an image, is saved while it runs, and its snapshot stays for as long as it is used", async () => {
    const { snapmill, containerd, snapshots } = fixture();
    await importBox(fixture());
    {
      await using saved = await startContainer(fixture(), "saved");
      expect(await saved.shell("echo written > /file; grep ' / ' /proc/mounts")).toMatch(/^\/dev\/\S+ \/ ext4 rw,/);
      await snapshots("commit", "save", "saved");
      await saved.shell("echo later > /file");
      const content = (root: string) => readFileSync(join(root, "file"), "utf8");
      expect(await lookInto(snapmill.directory, snapshots, "save", content)).toBe("written\n");
      expect(await saved.shell("cat /file")).toBe("later\n");
    }
    {
      await using used = await startContainer(fixture(), "used");
      await snapshots("rm", "used");
      await collectGarbage(fixture());
      expect(containerd.said).toMatch(/failed to remove snapshot.*is in use.*failed precondition/);
      expect(await used.shell("echo still here > /file; cat /file")).toBe("still here\n");
    }
    await snapshots("rm", "save");
    await removeImages(fixture(), "box:test");
    await collectGarbage(fixture());
  });
}
