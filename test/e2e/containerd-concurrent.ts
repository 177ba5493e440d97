// Owns the tests with many concurrent clients of containerd.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerdFixture } from "../support/containerd-fixture.ts";
import { writeImage } from "../support/images.ts";
import { directory, file } from "../support/tar-entries.ts";
import { type Archive, archiveOf, collectGarbage, lookInto, rows, type Snapshots } from "./containerd-core.ts";

/** Declares the tests. */
export function describeCrowd(fixture: () => ContainerdFixture): void {
  test("32 images of eight namespaces are imported at once: those of one share a layer, each has its own content", async () => {
    const { snapmill } = fixture();
    const groups = await Promise.all(Array.from({ length: 8 }, (_, index) => crowdOf(fixture(), `crowd-${index}`)));
    // Not all in one namespace: containerd serializes imports that write a file of the same name.
    const imports = groups.flatMap(({ ctr, images }) =>
      images.map(({ name, archive }) =>
        ctr("images", "import", "--snapshotter", "snapmill", "--base-name", name, archive.path),
      ),
    );
    // If one fails, the others are still awaited.
    await Promise.allSettled(imports);
    await Promise.all(imports);
    for (const { ctr, images } of groups) {
      const snapshots: Snapshots = (...args) => ctr("snapshots", "--snapshotter", "snapmill", ...args);
      expect(rows(await snapshots("ls"))).toHaveLength(1 + images.length);
      for (const { name, archive } of images.slice(-1)) {
        const read = (root: string) => readFileSync(join(root, "name"), "utf8");
        expect(await lookInto(snapmill.directory, snapshots, archive.top, read)).toBe(name);
      }
      await ctr("images", "rm", "--sync", ...images.map(({ name }) => `${name}:test`));
    }
    await collectGarbage(fixture());
  });
}

interface Crowd {
  /** `ctr ARGS` in a namespace of its own. */
  readonly ctr: (...args: string[]) => Promise<string>;
  readonly images: readonly { readonly name: string; readonly archive: Archive }[];
}

async function crowdOf(fixture: ContainerdFixture, namespace: string): Promise<Crowd> {
  const names = Array.from({ length: 4 }, (_, number) => `${namespace}-${number}`);
  const images = await Promise.all(names.map((name) => crowdImage(fixture, name)));
  return { ctr: (...args) => fixture.containerd.ctr("--namespace", namespace, ...args), images };
}

/** An image of a layer that all of them share, and one of its own. */
async function crowdImage({ snapmill }: ContainerdFixture, name: string) {
  const layout = join(snapmill.directory, name);
  const shared = [directory("shared"), file("shared/file", "the same in all")];
  const { layers } = await writeImage(layout, [{ content: shared }, { content: [file("name", name)] }]);
  return { name, archive: await archiveOf(layout, layers) };
}
