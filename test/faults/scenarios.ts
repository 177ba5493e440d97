// Owns the operations that are killed: what each needs beforehand, what is asked, and how its end looks.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { freshOperationId, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { Client, mounted, type Stage } from "../conformance/snapshotter-fixture.ts";
import type { PoolPlace } from "./pool.ts";
import { type UnpackRequest, unpackLayers, unpackScene } from "./unpack-scenario.ts";

export type Verb = "prepare" | "view" | "commit" | "remove" | "removeDevice" | "cleanup" | "resetPool" | "unpack";

/** One operation, as it can be handed to another process. */
export interface Errand {
  readonly verb: Verb;
  readonly operationId: string;
  readonly request: object;
}

export interface Scene {
  readonly title: string;
  /** What the worker is configured to do while the operation runs. */
  readonly snapshotter?: Partial<SnapshotterOptions>;
  /** Makes what the operation needs, in a pool with the committed "base", and "child" on it. */
  set(client: Client, place: PoolPlace): Promise<Errand>;
  /** The key of an active snapshot that is mounted from before the operation until `strike`. */
  readonly mountedKey?: string;
  /** What the operation is answered with: `result`, or an error's code. */
  readonly answer: string;
  /** Throws when the snapshots are not what they should be after the operation. */
  expectDone(client: Client, place: PoolPlace): Promise<void>;
  /** Takes away what the scene has made. */
  strike(client: Client, place: PoolPlace): Promise<void>;
  /** Nothing else survives it: `strike` furnishes the pool anew. */
  readonly emptiesPool?: true;
}

export const newClient = (stage: Stage): Client => new Client(stage, "faults");

export function perform(stage: Stage, errand: Errand): Promise<unknown> {
  if (errand.verb === "unpack") return unpackLayers(stage, errand.request as UnpackRequest);
  const { snapshotter } = stage;
  const verb = snapshotter[errand.verb].bind(snapshotter) as (operationId: string, request: object) => Promise<unknown>;
  return verb(errand.operationId, errand.request);
}

const errand = (verb: Verb, request: object = {}): Errand => ({ verb, operationId: freshOperationId(), request });

const keyOf = (client: Client, key: string) => ({ scope: client.scope, key: snapshotKey(key) });

function expectKeys(client: Client, ...added: readonly string[]): void {
  const [found, expected] = [client.walk().join(), ["base", "child", ...added].sort().join()];
  if (found !== expected) throw new Error(`the snapshots are ${found}, not ${expected}`);
}

const expectText = (root: string, expected: string): void => {
  const found = readFileSync(`${root}/file`, "utf8");
  if (found !== expected) throw new Error(`the file is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
};

/** What every pool of a play begins with. */
export async function furnish(client: Client): Promise<void> {
  await client.layer("base", undefined, (root) => writeFileSync(`${root}/file`, "of base"));
  await client.layer("child", "base", (root) => writeFileSync(`${root}/file`, "of child"));
}

/** A size that no device has: its template is yet to be made. */
function newSize({ stage }: Client) {
  const sizes = new Set(listDevices(stage.database).map(({ sizeBytes }) => sizeBytes));
  let mebibytes = 25;
  while (sizes.has(mebibytes * 2 ** 20)) mebibytes += 1;
  return { [labelNames.maxSize]: `${mebibytes}MiB` };
}

async function makeActive(client: Client, text: string): Promise<void> {
  await client.prepare("active", "base");
  await mounted(client.mounts("active"), (root) => writeFileSync(`${root}/file`, text));
}

const commitMade = (client: Client) => errand("commit", { ...client.request("active"), name: snapshotKey("made") });

async function expectMadeHas(client: Client, text: string): Promise<void> {
  expectKeys(client, "made");
  await client.seen("made", (root) => expectText(root, text));
}

/** Leaves a removed snapshot's device to a job; returns that job. */
async function leaveRemoval(client: Client): Promise<Errand> {
  await client.prepare("doomed", "base");
  await client.remove("doomed");
  const [removal] = pendingRemovals(client.stage.database);
  if (removal === undefined) throw new Error("no removal was left to a job");
  return { verb: "removeDevice", operationId: removal.operationId, request: { device: removal.device } };
}

const nothingMore = async (client: Client) => expectKeys(client);
const strikeMade = (client: Client) => client.remove("made").then(() => undefined);
const strikeNothing = async () => undefined;

export const scenes: readonly Scene[] = [
  {
    title: "prepare of a base, with its template",
    set: async (client) => errand("prepare", client.request("made", undefined, newSize(client))),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      const names = await mounted(client.mounts("made"), (root) => readdirSync(root));
      if (names.length > 0) throw new Error(`the base has ${names.join()}`);
    },
    strike: strikeMade,
  },
  {
    title: "prepare of a child",
    set: async (client) => errand("prepare", client.request("made", "base")),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of base"));
    },
    strike: strikeMade,
  },
  {
    title: "prepare of a child larger than its parent",
    set: async (client) => errand("prepare", client.request("made", "child", { [labelNames.maxSize]: "40MiB" })),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of child"));
    },
    strike: strikeMade,
  },
  {
    title: "prepare that fails",
    snapshotter: { fsOptions: ["--no-such-option"] },
    set: async (client) => errand("prepare", client.request("made")),
    answer: "internal",
    expectDone: nothingMore,
    strike: strikeNothing,
  },
  {
    title: "view",
    set: async (client) => errand("view", client.request("made", "child")),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of child"));
    },
    strike: strikeMade,
  },
  {
    title: "commit",
    set: async (client) => {
      await makeActive(client, "of made");
      return commitMade(client);
    },
    answer: "result",
    expectDone: (client) => expectMadeHas(client, "of made"),
    strike: strikeMade,
  },
  {
    title: "commit of what is mounted",
    set: async (client) => {
      await makeActive(client, "of made");
      return commitMade(client);
    },
    mountedKey: "active",
    answer: "result",
    expectDone: (client) => expectMadeHas(client, "of made"),
    strike: async (client) => {
      await strikeMade(client);
      await client.stage.snapshotter.cleanup(freshOperationId());
    },
  },
  unpackScene,
  {
    title: "remove of an active snapshot",
    set: async (client) => {
      await client.prepare("doomed", "base");
      return errand("remove", keyOf(client, "doomed"));
    },
    answer: "result",
    expectDone: nothingMore,
    strike: strikeNothing,
  },
  {
    title: "remove of a committed snapshot",
    set: async (client) => {
      await client.layer("doomed", "child");
      return errand("remove", keyOf(client, "doomed"));
    },
    answer: "result",
    expectDone: nothingMore,
    strike: strikeNothing,
  },
  {
    title: "removal left to a job",
    snapshotter: { asyncRemove: true },
    set: leaveRemoval,
    answer: "result",
    expectDone: nothingMore,
    strike: strikeNothing,
  },
  {
    title: "cleanup",
    snapshotter: { asyncRemove: true },
    set: async (client) => {
      await leaveRemoval(client);
      return errand("cleanup");
    },
    answer: "result",
    expectDone: nothingMore,
    strike: strikeNothing,
  },
  {
    title: "reset of the pool",
    // The templates of earlier scenes go first: else it has more to do than it will have the next time.
    set: async (client) => {
      await perform(client.stage, errand("resetPool"));
      await furnish(client);
      return errand("resetPool");
    },
    answer: "result",
    expectDone: async (client) => {
      if (client.walk().length > 0) throw new Error(`there is still ${client.walk().join()}`);
    },
    strike: furnish,
    emptiesPool: true,
  },
];
