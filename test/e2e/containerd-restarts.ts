// Owns what must go on when containerd or snapmill ends in the middle of an unpack.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerdStage } from "../support/containerd-fixture.ts";
import { writeImage } from "../support/images.ts";
import { eventually } from "../support/processes.ts";
import { directory, type Entry, file } from "../support/tar-entries.ts";
import { type Archive, archiveOf, collectGarbage, lookInto, removeImages } from "./containerd-core.ts";

/** Long enough to unpack that something can happen meanwhile. */
const manyFiles: readonly Entry[] = [
  directory("many"),
  ...Array.from({ length: 4000 }, (_, number) => file(`many/${number}`, `content of ${number}\n`.repeat(100))),
];

async function slowArchive({ station }: ContainerdStage): Promise<Archive> {
  const layout = join(station.directory, "slow");
  const contents = [[file("first", "of all")], manyFiles, [file("last", "")]];
  const { layers } = await writeImage(
    layout,
    contents.map((content) => ({ content })),
  );
  return await archiveOf(layout, layers);
}

/** Waits until containerd is applying the layer that takes long. */
async function untilUnpacking(stage: ContainerdStage): Promise<void> {
  const extracting = () => {
    const keys = Object.values(stage.poolContents()).flat();
    return keys.length === 2 && keys.some((key) => key.includes("/extract-"));
  };
  if (!(await eventually(extracting))) throw new Error("the import never began to unpack");
}

async function expectWhole(stage: ContainerdStage, { top }: Archive): Promise<void> {
  const seen = await lookInto(stage.station.directory, stage.snapshots, top, (root) => [
    readFileSync(join(root, "first"), "utf8"),
    readFileSync(join(root, "many/3999"), "utf8"),
  ]);
  expect(seen).toEqual(["of all", "content of 3999\n".repeat(100)]);
}

/** How a command ends. Listened to from the start: it may fail before anybody waits for it. */
const fateOf = (command: Promise<unknown>): Promise<"done" | "failed"> =>
  command.then(
    () => "done",
    () => "failed",
  );

/** Declares the tests. */
export function describeRestarts(stage: () => ContainerdStage): void {
  test("containerd that is killed while it unpacks does so when it is back, and nothing of the first time stays", async () => {
    const { containerd, importImage } = stage();
    const archive = await slowArchive(stage());
    const broken = fateOf(importImage(archive.path, "slow"));
    await untilUnpacking(stage());
    await containerd.stop("SIGKILL");
    expect(await broken).toBe("failed");
    await containerd.start();
    await importImage(archive.path, "slow");
    await expectWhole(stage(), archive);
    await removeImages(stage(), "slow:test");
    await collectGarbage(stage());
  });

  test("snapmill can be killed while containerd unpacks: containerd need not be started again", async () => {
    const { importImage } = stage();
    const archive = await slowArchive(stage());
    const broken = fateOf(importImage(archive.path, "slow"));
    await untilUnpacking(stage());
    await stage().stopSnapmill("SIGKILL");
    expect(await broken).toBe("failed");
    await stage().startSnapmill();
    const imported = async () => (await fateOf(importImage(archive.path, "slow"))) === "done";
    expect(await eventually(imported, 60_000)).toBe(true);
    await expectWhole(stage(), archive);
    await removeImages(stage(), "slow:test");
    await collectGarbage(stage());
  });
}
