// Kills the processes of an `unpack` with SIGKILL, at every fault point and at random times, and runs it again.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { FaultPoint } from "../../src/system/faults.ts";
import { faultPoints } from "../../src/system/faults.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeImage } from "../support/images.ts";
import { randomOf, seedOf } from "../support/random.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { file } from "../support/tar-entries.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { describeTree, diffTrees } from "../support/trees.ts";

setDefaultTimeout(120_000);

const images = await temporaryDirectory();
afterAll(() => images[Symbol.asyncDispose]());
const small = await writeSmallImage(join(images.path, "small"));
/** The second layer is truncated: the snapshot prepared for it must be removed again. */
const damaged = await writeImage(join(images.path, "damaged"), [
  { content: [file("a", "below")] },
  {
    content: [file("b", Buffer.alloc(400_000, "x"))],
    form: "none",
    damage: (blob) => Buffer.from(blob).fill(1, 3000, 3100),
  },
]);

/** Reached only when something is undone. */
const removalPoints: readonly FaultPoint[] = ["remove.intended", "remove.deactivated", "remove.deleted"];
/** Not reached by a plain unpack: what grows a file system, or commits what is in use. */
const otherPoints: readonly FaultPoint[] = ["prepare.grown", "commit.copying"];
const unpackPoints = faultPoints
  .filter((point) => /^(prepare|template|commit|commit-copies|settle|unpack|writer)\./.test(point))
  .filter((point) => !otherPoints.includes(point));

/** The image is unpacked again, is what it should be, and nothing else is left. */
async function expectVerifiedResult(snapmill: TestSnapmill): Promise<void> {
  const image = await snapmill.unpack(small.reference);
  const differences = await snapmill.inspect(image.snapshot, (root) => diffTrees(small.expected, describeTree(root)));
  expect(differences).toEqual([]);
  expect(snapmill.residue()).toEqual([]);
}

test("an undisturbed unpack gives the expected content and leaves nothing", async () => {
  using snapmill = new TestSnapmill();
  await expectVerifiedResult(snapmill);
});

describe("a process killed at a fault point: the unpack ends, and run again gives the verified result", () => {
  test.concurrent.each(unpackPoints)("%s", async (point) => {
    using snapmill = new TestSnapmill();
    await snapmill.run(["unpack", small.reference], point);
    expect(snapmill.faultHappened).toBe(true);
    await expectVerifiedResult(snapmill);
  });

  test.concurrent.each([...removalPoints])("%s, while a damaged layer is taken back", async (point) => {
    using snapmill = new TestSnapmill();
    await snapmill.run(["unpack", damaged.reference], point);
    expect(snapmill.faultHappened).toBe(true);
    const again = await snapmill.run(["unpack", damaged.reference]);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain("layer 2 of 2");
    await expectVerifiedResult(snapmill);
  });
});

const kinds = ["src/cli.ts", "redis-server", "workers/pool.ts", "workers/unpack.ts", "workers/writer.ts"] as const;

/** A process of snapmill whose command line names `kind`; undefined when there is none just now. */
function findProcess(snapmill: TestSnapmill, kind: (typeof kinds)[number]): number | undefined {
  return snapmill.pidsOf(kind)[0];
}

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, "SIGKILL");
  } catch {
    // The process has ended before the signal.
  }
}

describe("processes killed at random times: the unpack ends, and run again gives the verified result", () => {
  const seed = seedOf(Bun.env["SNAPMILL_TEST_SEED"]);
  console.log(`random kills: seed ${seed} (SNAPMILL_TEST_SEED=${seed} repeats them)`);
  const random = randomOf(seed);
  const randomKill = () => ({
    kind: kinds[Math.floor(random() * kinds.length)] ?? "src/cli.ts",
    afterMs: Math.floor(random() * 2_000),
  });
  const cases = Array.from({ length: 25 }, () => [randomKill(), randomKill()] as const);

  test.concurrent.each(cases.map((kills, index) => [index + 1, ...kills] as const))(
    `unpack %i of 25, killed twice (seed ${seed}): %j, then %j`,
    async (_index, first, second) => {
      using snapmill = new TestSnapmill();
      const started = snapmill.start(["unpack", small.reference]);
      for (const { kind, afterMs } of [first, second]) {
        await Bun.sleep(afterMs);
        kill(findProcess(snapmill, kind));
      }
      await started.finished;
      await expectVerifiedResult(snapmill);
    },
  );
});
