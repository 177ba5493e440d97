// Unpacks a real Debian image through the queue and compares it, file by file, with the unpack of umoci.
import { expect } from "bun:test";
import { join } from "node:path";
import { buildDemoImage } from "../../scripts/demo-image.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { testWith } from "../support/tools.ts";
import { describeTree, diffTrees } from "../support/trees.ts";
import { debianImage, umociTree } from "./umoci-oracle.ts";

/** Outside the test's own directory: building the image takes longer than all that is done with it. */
const cache = join(import.meta.dir, "../../.tools/cache/debian-image");
const timeoutMs = 10 * 60_000;

async function expectSameAsUmoci(layout: string, tag: string): Promise<void> {
  using snapmill = new TestSnapmill({ SNAPMILL_POOL_SIZE: "3GiB", SNAPMILL_DEVICE_SIZE: "2GiB" });
  const image = await snapmill.unpack(`oci:${layout}:${tag}`);
  const expected = await umociTree(layout, tag);
  const differences = await snapmill.inspect(image.snapshot, (root) => diffTrees(expected, describeTree(root)));
  expect(differences).toEqual([]);
  expect(expected.size).toBeGreaterThan(1_000);
  expect(snapmill.residue()).toEqual([]);
}

testWith(
  ["umoci", "apt-get", "dpkg-deb"],
  "a Debian image of real packages unpacks to what umoci makes of it",
  async () => {
    const { layout, tag } = await debianImage(cache);
    await expectSameAsUmoci(layout, tag);
  },
  timeoutMs,
);

testWith(
  ["umoci"],
  "the demo image, with every kind of entry, unpacks to what umoci makes of it",
  async () => {
    await using directory = await temporaryDirectory();
    const { reference } = await buildDemoImage(join(directory.path, "image"), { form: "gzip-members" });
    const [, layout = "", tag = ""] = reference.split(":");
    await expectSameAsUmoci(layout, tag);
  },
  timeoutMs,
);
