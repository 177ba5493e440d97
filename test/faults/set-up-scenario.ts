// Owns the set-up of a scenario, in this process or in the one that is killed.
import { mkdir } from "node:fs/promises";
import { mountAt } from "../../src/system/mount/mounts.ts";
import type { Client } from "../conformance/snapshotter-fixture.ts";
import { mountpointIn, type PoolPlace } from "./pool.ts";
import { type Operation, type Scenario, scenarios } from "./scenarios.ts";

export function scenarioOf(title: string): Scenario {
  const scenario = scenarios.find((candidate) => candidate.title === title);
  if (scenario === undefined) throw new Error(`there is no scenario ${title}`);
  return scenario;
}

/** Makes what the scenario needs in the pool at `place`; returns the operation to run. */
export async function setUpScenario(place: PoolPlace, client: Client, scenario: Scenario): Promise<Operation> {
  const operation = await scenario.setUp(client, place);
  if (scenario.mountedKey !== undefined) await mountSnapshot(place, client, scenario.mountedKey);
  return operation;
}

async function mountSnapshot(place: PoolPlace, client: Client, key: string): Promise<void> {
  const [mount] = client.mounts(key);
  if (mount === undefined) throw new Error(`${key} has no mount`);
  await mkdir(mountpointIn(place), { recursive: true });
  await mountAt(mount.source, mountpointIn(place), mount.type, mount.options);
}
