// Owns the tests in which containerd or snapmill ends in the middle of an unpack.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerdFixture } from "../support/containerd-fixture.ts";
import { writeImage } from "../support/images.ts";
import { directory, type Entry, file } from "../support/tar-entries.ts";
import { until } from "../support/until.ts";
import { type Archive, archiveOf, collectGarbage, lookInto, removeImages } from "./containerd-core.ts";

/** Takes long enough to unpack to be interrupted. */
const manyFiles: readonly Entry[] = [
  directory("many"),
  ...Array.from({ length: 4000 }, (_, number) => file(`many/${number}`, `content of ${number}\n`.repeat(100))),
];

async function slowArchive({ snapmill }: ContainerdFixture): Promise<Archive> {
  const layout = join(snapmill.directory, "slow");
  const contents = [[file("first", "of all")], manyFiles, [file("last", "")]];
  const { layers } = await writeImage(
    layout,
    contents.map((content) => ({ content })),
  );
  return await archiveOf(layout, layers);
}

/** Waits until containerd applies the slow layer. */
async function untilUnpacking(fixture: ContainerdFixture): Promise<void> {
  await until(
    "the import has begun to unpack",
    () => Object.values(fixture.poolContents()).flat(),
    (keys) => keys.length === 2 && keys.some((key) => key.includes("/extract-")),
  );
}

async function expectWhole(fixture: ContainerdFixture, { top }: Archive): Promise<void> {
  const seen = await lookInto(fixture.snapmill.directory, fixture.snapshots, top, (root) => [
    readFileSync(join(root, "first"), "utf8"),
    readFileSync(join(root, "many/3999"), "utf8"),
  ]);
  expect(seen).toEqual(["of all", "content of 3999\n".repeat(100)]);
}

/** How a command ends. Attached at once: the command may fail before the test awaits it. */
const fateOf = (command: Promise<unknown>): Promise<"done" | "failed"> =>
  command.then(
    () => "done",
    () => "failed",
  );

/** Declares the tests. */
export function describeRestarts(fixture: () => ContainerdFixture): void {
  test("containerd that is killed while it unpacks does so when it is back, and nothing of the first time stays", async () => {
    const { containerd, importImage } = fixture();
    const archive = await slowArchive(fixture());
    const broken = fateOf(importImage(archive.path, "slow"));
    await untilUnpacking(fixture());
    await containerd.stop("SIGKILL");
    expect(await broken).toBe("failed");
    await containerd.start();
    await importImage(archive.path, "slow");
    await expectWhole(fixture(), archive);
    await removeImages(fixture(), "slow:test");
    await collectGarbage(fixture());
  });

  test("snapmill can be killed while containerd unpacks: containerd need not be started again", async () => {
    const { importImage } = fixture();
    const archive = await slowArchive(fixture());
    const broken = fateOf(importImage(archive.path, "slow"));
    await untilUnpacking(fixture());
    await fixture().stopSnapmill("SIGKILL");
    expect(await broken).toBe("failed");
    await fixture().startSnapmill();
    await until(
      "it is imported",
      () => fateOf(importImage(archive.path, "slow")),
      (fate) => fate === "done",
      60_000,
    );
    await expectWhole(fixture(), archive);
    await removeImages(fixture(), "slow:test");
    await collectGarbage(fixture());
  });
}
