// Room: cli. Owns the pool of another host: operations run there, over HTTP.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect, type PoolClient } from "../../client/client.ts";
import { invalidArgument } from "../../domain/errors.ts";
import type { PoolName } from "../../domain/identifiers.ts";
import type { Remote } from "../support/host.ts";
import type { Pool, PoolOperations } from "./pool.ts";

/** Its state is asked for this often while something is waited for. */
const pollMs = 1_000;
/** What a snapmill has unless it says otherwise. */
const defaultUnpackWorkers = 2;

/** `signal` ends every call that is given none of its own. */
export function openRemotePool({ host, token, caFile }: Remote, name: PoolName, signal?: AbortSignal): Pool {
  const ca = caFile === undefined ? undefined : textOf(caFile);
  const operations = endedBy(signal, connect({ host, token, ca }).pool(name));
  return {
    ...operations,
    planUnpack: async (given, { onImage, ...options } = {}) => {
      const plan = await operations.planUnpack(given, options);
      const images = new Map([...plan.images, ...plan.failed].map((image) => [image.reference, image]));
      for (const image of images.values()) await onImage?.(image);
      return plan;
    },
    name,
    pollMs,
    place: async () => {
      const { stateDir } = await operations.status({});
      return { stateDir, poolDir: join(stateDir, "pools", name) };
    },
    serving: () => Promise.resolve("lasting"),
    unpackWorkers: async () => (await operations.status({})).workers?.unpack ?? defaultUnpackWorkers,
    unpackHold: async () => (await operations.queues({})).unpack.hold,
    requireRunning: () => Promise.resolve(),
    missing: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function endedBy(signal: AbortSignal | undefined, client: PoolClient): PoolOperations {
  const calls = Object.entries(client).map(([name, call]) => [
    name,
    (given: never, options?: object) => call(given, { signal, ...options }),
  ]);
  return Object.fromEntries(calls) as PoolOperations;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalidArgument(
      `SNAPMILL_CA cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}
