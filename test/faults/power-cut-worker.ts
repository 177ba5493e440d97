// A worker in the guest whose power is cut: it recovers the pool, checks that all is there that was acknowledged, and goes
// on with the batch until it is gone. What it has done it says on standard output, line by line.
//
//   bun power-cut-worker.ts '{"place": ..., "acknowledged": 17}'
import { existsSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Client } from "../conformance/snapshotter-fixture.ts";
import { checkMetadata, complaintsOf } from "./audit.ts";
import { connectControl, lent, metadataFile, type PoolPlace, startWorker } from "./pool.ts";
import { newClient } from "./scenarios.ts";
import { carryOut, expectedAfter, textOf } from "./sequence.ts";

interface Orders {
  readonly place: PoolPlace;
  /** So many operations had been answered, as far as was heard. */
  readonly acknowledged: number;
  /** After so many more operations it ends by itself. */
  readonly more: number;
}

/** An answer may not have been heard before the power went. */
const unheard = 40;

/** How many operations have been carried out. Throws when what is there is not what some number of them leave. */
function countDone(client: Client, acknowledged: number): number {
  const found = new Set(client.walk());
  for (let count = acknowledged; count <= acknowledged + unheard; count++) {
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

async function run({ place, acknowledged, more }: Orders): Promise<void> {
  if (existsSync(metadataFile(place))) await checkMetadata(place);
  console.log("starting");
  const control = connectControl(place);
  const worker = await startWorker(place, {}, lent(control));
  const client = newClient(worker);
  const done = countDone(client, acknowledged);
  const complaints = await complaintsOf(place, worker, control);
  if (complaints.length > 0) throw new Error(complaints.join("; "));
  await expectContents(client);
  console.log(`recovered ${done}`);
  // From the first that was not acknowledged: who was not answered asks again.
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
  await run(JSON.parse(process.argv[2] ?? "") as Orders);
  process.exit(0);
} catch (error) {
  console.log(`failed ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
}
