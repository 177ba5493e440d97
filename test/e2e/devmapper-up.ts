// Room: test. Owns the test of snapmill on a thin-pool: `up`, an image, one that does not fit, and the state afterwards.
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { CliFixture } from "../cli/cli-fixture.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage } from "../support/images.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { sparse } from "../support/tar-entries.ts";
import { describeTree, diffTrees } from "../support/trees.ts";

const mebibyte = 2 ** 20;

/** With a little in each block of the pool it takes more than there is, and is quickly written. */
const extents = Array.from({ length: 2200 }, (_, index) => ({
  offsetBytes: index * 65_536,
  content: Buffer.alloc(4096, "x"),
}));

/** Declares the test: `control` is the way to the kernel. */
export function describeUp(control: DmControlName): void {
  test(`up through ${control} makes a thin-pool, unpacks onto it, gives back what does not fit, and is whole afterwards`, async () => {
    await using images = await temporaryDirectory();
    const small = await writeSmallImage(join(images.path, "small"));
    const huge = await writeImage(join(images.path, "huge"), [
      { content: [sparse("huge", extents.length * 65_536, extents)], form: "zstd" },
    ]);
    await using fixture = new CliFixture({
      SNAPMILL_DRIVER: "devmapper",
      SNAPMILL_DM_CONTROL: control,
      SNAPMILL_POOL: `e2e-${control}`,
      SNAPMILL_POOL_SIZE: "128MiB",
      SNAPMILL_UNPACK_WORKERS: "1",
      SNAPMILL_GRPC_ADDRESS: "",
    });
    await fixture.up();
    const [image] = await fixture.json("unpack", small.reference);
    expect(image?.layers?.map(({ cached }) => cached)).toEqual([false, false, false]);
    const [before] = await fixture.json("status");
    expect(before?.metadata).toMatchObject({ driver: "devmapper", poolState: "rw" });
    expect(before?.metadata?.space?.totalBytes).toBe(128 * mebibyte);
    const { exitCode, stderr } = await fixture.run("unpack", huge.reference);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^snapmill: .*layer 1 of 1 .*the data of the pool has/m);
    const [after] = await fixture.json("status");
    expect(after?.metadata?.space).toEqual(before?.metadata?.space ?? null);
    await fixture.down();
    const name = fixture.snapmill.snapshots().find(({ key }) => key === image?.snapshot)?.key;
    if (name === undefined) throw new Error("the image's snapshot is gone");
    const differences = await fixture.snapmill.inspect(name, (root) => diffTrees(small.expected, describeTree(root)));
    expect(differences).toEqual([]);
  }, 300_000);
}
