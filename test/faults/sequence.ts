// Owns the sequence of operations during which the power is cut: always the same, so that the expected snapshots are known
// after any number of them.
import { writeFileSync } from "node:fs";
import { operationId, snapshotKey } from "../../src/domain/identifiers.ts";
import { lookUpSnapshot } from "../../src/metadata/snapshots.ts";
import { type Client, mounted } from "../conformance/snapshotter-fixture.ts";
import { type Operation, runOperation, type Verb } from "./scenarios.ts";

/** One operation, as it is planned. */
interface Step {
  readonly verb: Verb;
  readonly key: string;
  readonly parent?: string;
  /** Of a commit or a checkpoint: the new name, whose file has the same text. */
  readonly name?: string;
}

/** Snapshots by key or name, in a scope where nothing else is. */
export type Expected = ReadonlySet<string>;

const layersInGroup = 4;
const layer = (group: number, index: number): string => `layer-${group}-${index}`;

const checkpointsInGroup = 3;
const above = (group: number, index: number): string => `above-${group}-${index}`;

/**
 * A base; then groups of layers on it, each layer read in a view, with more above them by checkpoints of one active
 * snapshot, and the previous group removed.
 */
function* steps(): Generator<Step> {
  yield { verb: "prepare", key: "active-base" };
  yield { verb: "commit", key: "active-base", name: "base" };
  for (let group = 0; ; group++) {
    for (let index = 0; index < layersInGroup; index++) {
      const [name, parent] = [layer(group, index), index === 0 ? "base" : layer(group, index - 1)];
      yield { verb: "prepare", key: `active-${name}`, parent };
      yield { verb: "commit", key: `active-${name}`, name };
      yield { verb: "view", key: `view-${name}`, parent: name };
      yield { verb: "remove", key: `view-${name}` };
    }
    const active = `active-above-${group}`;
    yield { verb: "prepare", key: active, parent: layer(group, layersInGroup - 1) };
    for (let index = 0; index < checkpointsInGroup; index++) {
      yield { verb: "checkpoint", key: active, name: above(group, index) };
    }
    yield { verb: "commit", key: active, name: above(group, checkpointsInGroup) };
    if (group === 0) continue;
    for (let index = checkpointsInGroup; index >= 0; index--) yield { verb: "remove", key: above(group - 1, index) };
    for (let index = layersInGroup - 1; index >= 0; index--) yield { verb: "remove", key: layer(group - 1, index) };
  }
}

/** The snapshots after the first `count` operations. */
export function expectedAfter(count: number): Expected {
  const there = new Set<string>();
  const planned = steps();
  for (let done = 0; done < count; done++) {
    const { value: step } = planned.next() as IteratorYieldResult<Step>;
    if (step.verb === "commit" || step.verb === "remove") there.delete(step.key);
    if (step.verb !== "remove") there.add(step.name ?? step.key);
  }
  return there;
}

/** Short: megabytes per layer would only make the cuts rarer, and what counts is when they come. */
export const textOf = (name: string): string => `${name} `.repeat(8000);

/** Runs the `number`-th operation (from 1), for the first time or again. */
export async function carryOut(client: Client, number: number): Promise<unknown> {
  const planned = steps();
  for (let before = 1; before < number; before++) planned.next();
  const { value: step } = planned.next() as IteratorYieldResult<Step>;
  if (step.name !== undefined) await writeBefore(client, step.key, step.name);
  return await runOperation(client.fixture, operationOf(client, number, step));
}

function operationOf(client: Client, number: number, { verb, key, parent, name }: Step): Operation {
  const request =
    verb === "remove" ? { scope: client.scope, key: snapshotKey(key) } : { ...client.request(key, parent) };
  const named = name === undefined ? {} : { name: snapshotKey(name) };
  return { verb, operationId: operationId(`operation-${number}`), request: { ...request, ...named } };
}

/** Does nothing once the commit or checkpoint has happened. */
async function writeBefore(client: Client, key: string, name: string): Promise<void> {
  if (lookUpSnapshot(client.fixture.database, client.scope, snapshotKey(name)) !== undefined) return;
  await mounted(client.mounts(key), (root) => writeFileSync(`${root}/file`, textOf(name)));
}
