// Owns the scenarios of the fault tests: for each operation its set-up, its request, and the expected end state.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { freshOperationId, snapshotKey } from "../../src/domain/identifiers.ts";
import { labelNames } from "../../src/domain/snapshots.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { pendingRemovals } from "../../src/metadata/pending-removals.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import { Client, mounted, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import type { PoolPlace } from "./pool.ts";
import { type UnpackRequest, unpackLayers, unpackScenario } from "./unpack-scenario.ts";

export type Verb =
  | "prepare"
  | "view"
  | "commit"
  | "checkpoint"
  | "remove"
  | "remove-device"
  | "cleanup"
  | "reset-pool"
  | "unpack";

/** One operation, as it can be handed to another process. */
export interface Operation {
  readonly verb: Verb;
  readonly operationId: string;
  readonly request: object;
}

export interface Scenario {
  readonly title: string;
  /** What the worker is configured to do while the operation runs. */
  readonly snapshotter?: Partial<SnapshotterOptions>;
  /** Makes what the operation needs, in a pool with the committed "base", and "child" on it. */
  setUp(client: Client, place: PoolPlace): Promise<Operation>;
  /** The key of an active snapshot that is mounted from before the operation until `tearDown`. */
  readonly mountedKey?: string;
  /** The expected answer: `result`, or the code of an error. */
  readonly answer: string;
  /** Throws when the snapshots are not what they should be after the operation. */
  expectDone(client: Client, place: PoolPlace): Promise<void>;
  /** Removes what the scenario has made. */
  tearDown(client: Client, place: PoolPlace): Promise<void>;
  /** Nothing survives the operation: `tearDown` populates the pool again. */
  readonly emptiesPool?: true;
}

export const newClient = (fixture: SnapshotterFixture): Client => new Client(fixture, "faults");

export function runOperation(fixture: SnapshotterFixture, operation: Operation): Promise<unknown> {
  if (operation.verb === "unpack") return unpackLayers(fixture, operation.request as UnpackRequest);
  const { snapshotter } = fixture;
  const verb = snapshotter[operation.verb].bind(snapshotter) as (
    operationId: string,
    request: object,
  ) => Promise<unknown>;
  return verb(operation.operationId, operation.request);
}

const operation = (verb: Verb, request: object = {}): Operation => ({ verb, operationId: freshOperationId(), request });

const keyOf = (client: Client, key: string) => ({ scope: client.scope, key: snapshotKey(key) });

function expectKeys(client: Client, ...added: readonly string[]): void {
  const [found, expected] = [client.walk().join(), ["base", "child", ...added].sort().join()];
  if (found !== expected) throw new Error(`the snapshots are ${found}, not ${expected}`);
}

const expectText = (root: string, expected: string): void => {
  const found = readFileSync(`${root}/file`, "utf8");
  if (found !== expected) throw new Error(`the file is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
};

/** The snapshots that every populated pool starts with. */
export async function populate(client: Client): Promise<void> {
  await client.layer("base", undefined, (root) => writeFileSync(`${root}/file`, "of base"));
  await client.layer("child", "base", (root) => writeFileSync(`${root}/file`, "of child"));
}

/** A size that no device has: its template is yet to be made. */
function newSize({ fixture }: Client) {
  const sizes = new Set(listDevices(fixture.database).map(({ sizeBytes }) => sizeBytes));
  let mebibytes = 25;
  while (sizes.has(mebibytes * 2 ** 20)) mebibytes += 1;
  return { [labelNames.maxSize]: `${mebibytes}MiB` };
}

async function makeActive(client: Client, text: string): Promise<void> {
  await client.prepare("active", "base");
  await mounted(client.mounts("active"), (root) => writeFileSync(`${root}/file`, text));
}

const checkpointMade = (client: Client) =>
  operation("checkpoint", { ...client.request("active"), name: snapshotKey("made") });

const commitMade = (client: Client) => operation("commit", { ...client.request("active"), name: snapshotKey("made") });

async function expectMadeHas(client: Client, text: string): Promise<void> {
  expectKeys(client, "made");
  await client.seen("made", (root) => expectText(root, text));
}

async function expectCheckpoint(client: Client): Promise<void> {
  expectKeys(client, "active", "made");
  const [made, active] = [client.stat("made"), client.stat("active")];
  if (made.parent !== "base" || active.parent !== "made") throw new Error("the parents are not base and made");
  await client.seen("made", (root) => expectText(root, "of made"));
}

async function removeActiveAndMade(client: Client): Promise<void> {
  await client.remove("active");
  await client.remove("made");
}

/** Leaves the device of a removed snapshot to a job; returns that job. */
async function leaveRemoval(client: Client): Promise<Operation> {
  await client.prepare("doomed", "base");
  await client.remove("doomed");
  const [removal] = pendingRemovals(client.fixture.database);
  if (removal === undefined) throw new Error("no removal was left to a job");
  return { verb: "remove-device", operationId: removal.operationId, request: { device: removal.device } };
}

const nothingMore = async (client: Client) => expectKeys(client);
const removeMade = (client: Client) => client.remove("made").then(() => undefined);
const removeNothing = async () => undefined;

export const scenarios: readonly Scenario[] = [
  {
    title: "prepare of a base, with its template",
    setUp: async (client) => operation("prepare", client.request("made", undefined, newSize(client))),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      const names = await mounted(client.mounts("made"), (root) => readdirSync(root));
      if (names.length > 0) throw new Error(`the base has ${names.join()}`);
    },
    tearDown: removeMade,
  },
  {
    title: "prepare of a child",
    setUp: async (client) => operation("prepare", client.request("made", "base")),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of base"));
    },
    tearDown: removeMade,
  },
  {
    title: "prepare of a child larger than its parent",
    setUp: async (client) => operation("prepare", client.request("made", "child", { [labelNames.maxSize]: "40MiB" })),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of child"));
    },
    tearDown: removeMade,
  },
  {
    title: "prepare that fails",
    snapshotter: { fsOptions: ["--no-such-option"] },
    setUp: async (client) => operation("prepare", client.request("made")),
    answer: "internal",
    expectDone: nothingMore,
    tearDown: removeNothing,
  },
  {
    title: "view",
    setUp: async (client) => operation("view", client.request("made", "child")),
    answer: "result",
    expectDone: async (client) => {
      expectKeys(client, "made");
      await mounted(client.mounts("made"), (root) => expectText(root, "of child"));
    },
    tearDown: removeMade,
  },
  {
    title: "commit",
    setUp: async (client) => {
      await makeActive(client, "of made");
      return commitMade(client);
    },
    answer: "result",
    expectDone: (client) => expectMadeHas(client, "of made"),
    tearDown: removeMade,
  },
  {
    title: "commit of what is mounted",
    setUp: async (client) => {
      await makeActive(client, "of made");
      return commitMade(client);
    },
    mountedKey: "active",
    answer: "result",
    expectDone: (client) => expectMadeHas(client, "of made"),
    tearDown: async (client) => {
      await removeMade(client);
      await client.fixture.snapshotter.cleanup(freshOperationId(), {});
    },
  },
  {
    title: "checkpoint",
    setUp: async (client) => {
      await makeActive(client, "of made");
      return checkpointMade(client);
    },
    answer: "result",
    expectDone: expectCheckpoint,
    tearDown: removeActiveAndMade,
  },
  {
    title: "checkpoint of what is mounted",
    setUp: async (client) => {
      await makeActive(client, "of made");
      return checkpointMade(client);
    },
    mountedKey: "active",
    answer: "result",
    expectDone: expectCheckpoint,
    tearDown: removeActiveAndMade,
  },
  unpackScenario,
  {
    title: "remove of an active snapshot",
    setUp: async (client) => {
      await client.prepare("doomed", "base");
      return operation("remove", keyOf(client, "doomed"));
    },
    answer: "result",
    expectDone: nothingMore,
    tearDown: removeNothing,
  },
  {
    title: "remove of a committed snapshot",
    setUp: async (client) => {
      await client.layer("doomed", "child");
      return operation("remove", keyOf(client, "doomed"));
    },
    answer: "result",
    expectDone: nothingMore,
    tearDown: removeNothing,
  },
  {
    title: "removal left to a job",
    snapshotter: { asyncRemove: true },
    setUp: leaveRemoval,
    answer: "result",
    expectDone: nothingMore,
    tearDown: removeNothing,
  },
  {
    title: "cleanup",
    snapshotter: { asyncRemove: true },
    setUp: async (client) => {
      await leaveRemoval(client);
      return operation("cleanup");
    },
    answer: "result",
    expectDone: nothingMore,
    tearDown: removeNothing,
  },
  {
    title: "reset of the pool",
    // Templates of earlier scenarios are removed first, so that every run passes the same fault points.
    setUp: async (client) => {
      await runOperation(client.fixture, operation("reset-pool"));
      await populate(client);
      return operation("reset-pool");
    },
    answer: "result",
    expectDone: async (client) => {
      if (client.walk().length > 0) throw new Error(`there is still ${client.walk().join()}`);
    },
    tearDown: populate,
    emptiesPool: true,
  },
];
