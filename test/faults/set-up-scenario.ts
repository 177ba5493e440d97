// Owns the setting of a scene: by this process, or by the one that is to die in it.
import { mkdir } from "node:fs/promises";
import { mountAt } from "../../src/system/mount/mounts.ts";
import type { Client } from "../conformance/snapshotter-fixture.ts";
import { mountpointIn, type PoolPlace } from "./pool.ts";
import { type Errand, type Scene, scenes } from "./scenarios.ts";

export function sceneOf(title: string): Scene {
  const scene = scenes.find((candidate) => candidate.title === title);
  if (scene === undefined) throw new Error(`there is no scene ${title}`);
  return scene;
}

/** Makes what the scene needs, on the pool at `place`; returns the operation that is to be asked for. */
export async function setScene(place: PoolPlace, client: Client, scene: Scene): Promise<Errand> {
  const errand = await scene.set(client, place);
  if (scene.mountedKey !== undefined) await mountSnapshot(place, client, scene.mountedKey);
  return errand;
}

async function mountSnapshot(place: PoolPlace, client: Client, key: string): Promise<void> {
  const [mount] = client.mounts(key);
  if (mount === undefined) throw new Error(`${key} has no mount`);
  await mkdir(mountpointIn(place), { recursive: true });
  await mountAt(mount.source, mountpointIn(place), mount.type, mount.options);
}
