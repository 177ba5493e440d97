// Room: service. Owns what an `up` knows of one of its pools: its processes, their health, and since when what is wrong.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Config, paths } from "../config.ts";
import type { Health } from "../domain/health.ts";
import type { Watch, WatchedChild } from "../domain/verdict-facts.ts";
import type { Trouble } from "../domain/verdict-trouble.ts";
import type { Component } from "../supervisor/child-plan.ts";
import type { WatchedPool } from "../supervisor/services.ts";
import type { MetricReading } from "./metrics-reader.ts";
import { scrapedIn, usualDurationsIn } from "./watch-readings.ts";

export interface Watching {
  readonly config: Config;
  readonly children: () => WatchedPool;
  readonly components: () => readonly Component[];
  readonly health: () => Promise<Health>;
  /** Why `up` cannot record changes; null: it can. */
  readonly recordsTrouble: () => string | null;
}

/** Restarts are told for this long. */
const restartsKeptMs = 600_000;
const mostRestarts = 50;

export class PoolWatch {
  readonly #watching: Watching;
  #scraped = scrapedIn([]);
  #usual: ReadonlyMap<string, number> = new Map();
  #restarts: { readonly component: string; readonly atMs: number }[] = [];
  readonly #seenRestarts = new Map<string, number>();
  #since: Readonly<Record<string, number>> = {};

  constructor(watching: Watching) {
    this.#watching = watching;
  }

  /** What was last read of the pool and its queues, every ten seconds. */
  note(readings: readonly MetricReading[]): void {
    this.#scraped = scrapedIn(readings);
    this.#usual = usualDurationsIn(readings);
  }

  get isWorkerReady(): boolean {
    return this.#watching.children().states.pool.kind === "ready";
  }

  /** 95 % of the jobs of this name took no longer; undefined: too few of them have ended. */
  usuallyWithinMs(job: string): number | undefined {
    return this.#usual.get(job);
  }

  /** Asks the processes and the disk, which takes bounded time; answers are a second old at most. */
  async current(): Promise<Watch> {
    const { config, children, components, health, recordsTrouble } = this.#watching;
    const found = await health();
    const nowMs = Date.now();
    this.#noteRestarts(components(), nowMs);
    const { states, troubles } = children();
    const { pool, unpackers, grpc, redis } = states;
    const child = (kind: WatchedChild["kind"], state: { kind: WatchedChild["state"] } | undefined): WatchedChild[] =>
      state === undefined ? [] : [{ kind, state: state.kind }];
    return {
      atMs: nowMs,
      isStarted: found.parts.up.length === 0,
      parts: found.parts,
      children: [
        ...child("redis", redis),
        ...child("pool", pool),
        ...unpackers.flatMap((state) => child("unpack", state)),
        ...child("grpc", grpc),
      ],
      troubles: { redis: troubles.redis, pool: troubles.pool, unpack: troubles.unpackers, grpc: troubles.grpc },
      restarts: this.#restarts,
      ...this.#scraped,
      recordsTrouble: recordsTrouble(),
      disk: { ...found.stateDirectory, hasReserve: existsSync(join(paths.reserve(config), "1")) },
    };
  }

  /** Since when there has been each of `troubles` that does not say so itself; by code, also of those of others. */
  noteTroubles(troubles: readonly Trouble[], nowMs: number): Readonly<Record<string, number>> {
    this.#since = Object.fromEntries(
      troubles.map(({ code, since }) => [code, since ?? Math.min(nowMs, this.#since[code] ?? nowMs)]),
    );
    return this.#since;
  }

  #noteRestarts(components: readonly Component[], nowMs: number): void {
    for (const { component, restarts } of components) {
      const seen = this.#seenRestarts.get(component) ?? 0;
      const added = Math.min(mostRestarts, Math.max(0, restarts - seen));
      this.#seenRestarts.set(component, restarts);
      this.#restarts.push(...Array.from({ length: added }, () => ({ component, atMs: nowMs })));
    }
    // Also after the clock was set back.
    const isRecent = ({ atMs }: { atMs: number }) => Math.abs(nowMs - atMs) < restartsKeptMs;
    this.#restarts = this.#restarts.filter(isRecent).slice(-mostRestarts);
  }
}
