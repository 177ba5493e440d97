// Room: bench. Owns the measurement of each call of a snapshots service, snapmill's or containerd's own.
import type { SnapshotsClient } from "../test/api/grpc/client.ts";
import { ms, percentile, printTable, timeAll } from "./measure.ts";

/** One snapshotter behind a socket, as its client names it. */
export interface Peer {
  readonly client: SnapshotsClient;
  readonly snapshotter: string;
  /** containerd's own snapshotters have nothing to clean up, and say so. */
  readonly cleansUp: boolean;
}

export interface Extent {
  /** How many snapshots are stored while it is measured. */
  readonly storedCounts: readonly number[];
  readonly callerCounts: readonly number[];
  /** Of each call that reads. */
  readonly reads: number;
  /** Of each call that changes something. */
  readonly changes: number;
  /** For one step of storing: what is not stored by then is left out, and the table says how many there were. */
  readonly storingMs: number;
}

/** Keeps containerd's garbage collector away. */
const labels = { "containerd.io/gc.root": "bench" };
const storingWidth = 32;

export async function measurePeer(title: string, peer: Peer, extent: Extent): Promise<void> {
  const { client, snapshotter } = peer;
  await client.call("prepare", { snapshotter, key: "base-active", labels });
  await client.call("commit", { snapshotter, key: "base-active", name: "base", labels });
  // Not measured: the JIT needs these calls to warm up.
  await measureRound(peer, { ...extent, stored: 0, callers: 1 });
  const rows: string[][] = [];
  let stored = 0;
  for (const count of extent.storedCounts) {
    stored = await store(peer, stored, count, extent.storingMs);
    for (const callers of extent.callerCounts) {
      rows.push(...(await measureRound(peer, { ...extent, stored, callers })));
    }
  }
  printTable(title, ["stored", "callers", "call", "p50", "p99"], rows);
}

/** Stores snapshots until there are `upTo` of them, or the time is up; returns how many there are then. */
async function store({ client, snapshotter }: Peer, from: number, upTo: number, patienceMs: number): Promise<number> {
  const untilMs = performance.now() + patienceMs;
  let stored = from;
  await timeAll(upTo - from, storingWidth, async (index) => {
    if (performance.now() > untilMs) return;
    const key = `filling ${from + index}`;
    await client.call("prepare", { snapshotter, key, parent: "base", labels });
    await client.call("commit", { snapshotter, key, name: `stored ${from + index}`, labels });
    stored += 1;
  });
  return stored;
}

interface Round {
  readonly stored: number;
  readonly callers: number;
  readonly reads: number;
  readonly changes: number;
}

/** One row a call. What the calls of a round change, its last ones undo: the number stored stays. */
async function measureRound(peer: Peer, { stored, callers, reads, changes }: Round): Promise<string[][]> {
  const { client, snapshotter } = peer;
  const rows: string[][] = [];
  const measure = async (name: string, count: number, call: (index: number) => Promise<unknown>) => {
    const times = await timeCalls(count, callers, call);
    rows.push([String(stored), String(callers), name, ms(percentile(times, 0.5)), ms(percentile(times, 0.99))]);
  };
  const key = (index: number) => `key ${index % changes}`;
  const layer = (index: number) => `layer ${index % changes}`;
  const info = { name: "base", labels: { ...labels, turn: String(stored) } };
  const fresh = (index: number) => ({ snapshotter, key: key(index), labels });
  await measure("Prepare", changes, (i) => client.call("prepare", { ...fresh(i), parent: "base" }));
  await measure("Stat", reads, (i) => client.call("stat", { snapshotter, key: key(i) }));
  await measure("Mounts", reads, (i) => client.call("mounts", { snapshotter, key: key(i) }));
  await measure("Usage (active)", reads, (i) => client.call("usage", { snapshotter, key: key(i) }));
  await measure("Update", changes, () => client.call("update", { snapshotter, info }));
  await measure("Commit", changes, (i) => client.call("commit", { ...fresh(i), name: layer(i) }));
  await measure("Usage (committed)", reads, (i) => client.call("usage", { snapshotter, key: layer(i) }));
  await measure("View", changes, (i) => client.call("view", { ...fresh(i), parent: layer(i) }));
  await measure("Remove (view)", changes, (i) => client.call("remove", { snapshotter, key: key(i) }));
  await measure("Remove (layer)", changes, (i) => client.call("remove", { snapshotter, key: layer(i) }));
  if (peer.cleansUp) await measure("Cleanup", changes, () => client.call("cleanup", { snapshotter }));
  await measure("List (all)", Math.max(20, callers), () => client.countOf(snapshotter));
  return rows;
}

/** Milliseconds that each of `count` calls takes, `callers` of them at a time. */
async function timeCalls(count: number, callers: number, call: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  await timeAll(count, callers, async (index) => {
    const startedAt = performance.now();
    await call(index);
    times.push(performance.now() - startedAt);
  });
  return times;
}
