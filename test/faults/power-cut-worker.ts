// The worker in the guest whose power is cut: it recovers the pool, checks that every acknowledged operation is there, and
// continues the sequence until the power goes. It reports on standard output, line by line.
//
//   bun power-cut-worker.ts '{"place": ..., "acknowledged": 17}'
import { existsSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Client } from "../conformance/snapshotter-fixture.ts";
import { checkMetadata, problemsOf } from "./audit.ts";
import { connectControl, keptOpen, metadataFile, type PoolPlace, startWorker } from "./pool.ts";
import { newClient } from "./scenarios.ts";
import { carryOut, expectedAfter, textOf } from "./sequence.ts";

interface Instructions {
  readonly place: PoolPlace;
  /** How many operations are known to have been answered. */
  readonly acknowledged: number;
  /** Ends by itself after so many more operations. */
  readonly more: number;
}

/** So many answers may have been lost with the power. */
const lostAnswers = 40;

/** How many operations have been done. Throws when the snapshots match no number of operations. */
function countDone(client: Client, acknowledged: number): number {
  const found = new Set(client.walk());
  for (let count = acknowledged; count <= acknowledged + lostAnswers; count++) {
    if (isDeepStrictEqual(found, new Set(expectedAfter(count)))) return count;
  }
  const [is, was] = [[...found].sort().join(" "), [...expectedAfter(acknowledged)].sort().join(" ")];
  throw new Error(`after ${acknowledged} acknowledged operations there should be: ${was}; there is: ${is}`);
}

async function expectContents(client: Client): Promise<void> {
  for (const name of client.walk("kind==committed")) {
    const text = await client.seen(name, (root) => readFileSync(`${root}/file`, "utf8"));
    if (text !== textOf(name)) throw new Error(`the content of ${name} has changed`);
  }
}

async function run({ place, acknowledged, more }: Instructions): Promise<void> {
  if (existsSync(metadataFile(place))) await checkMetadata(place);
  console.log("starting");
  const control = connectControl(place);
  const worker = await startWorker(place, {}, keptOpen(control));
  const client = newClient(worker);
  const done = countDone(client, acknowledged);
  const problems = await problemsOf(place, worker, control);
  if (problems.length > 0) throw new Error(problems.join("; "));
  await expectContents(client);
  console.log(`recovered ${done}`);
  // From the first unacknowledged one: a caller without an answer repeats its request.
  for (let number = acknowledged + 1; number <= acknowledged + more; number++) {
    await carryOut(client, number);
    console.log(`done ${number}`);
  }
  await expectContents(client);
  await worker[Symbol.asyncDispose]();
  await checkMetadata(place);
  console.log("ended");
}

try {
  await run(JSON.parse(process.argv[2] ?? "") as Instructions);
  process.exit(0);
} catch (error) {
  console.log(`failed ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
}
