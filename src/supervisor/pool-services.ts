// Room: supervisor. Owns the children of one pool: its worker, then what uses that worker.
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import type { Health } from "../domain/health.ts";
import type { Tally } from "../domain/tally.ts";
import type { Left } from "../system/process/processes.ts";
import type { ChildPlan, ChildState, Component } from "./child-plan.ts";
import { ChildSupervisor } from "./child-supervisor.ts";
import { grpcWorkerPlan, poolWorkerPlan, unpackWorkerPlan } from "./workers.ts";

/** The state of each child; `grpc` is undefined if containerd is not served. */
export interface PoolStates {
  readonly pool: ChildState;
  readonly unpackers: readonly ChildState[];
  readonly grpc: ChildState | undefined;
}

export interface PoolSurroundings {
  readonly log: Logger;
  /** Where what the children observe is added. */
  readonly totals: Pick<Tally, "add">;
  /** Added to the children's names where several pools are served, " of pool fast"; otherwise empty. */
  readonly label: string;
}

/** Started once, stopped once. */
export class PoolServices {
  readonly #pool: ChildSupervisor;
  readonly #unpackers: readonly ChildSupervisor[];
  readonly #grpc: ChildSupervisor | undefined;

  constructor(config: Config, { log, totals, label }: PoolSurroundings) {
    const supervise = (plan: ChildPlan) => new ChildSupervisor({ ...plan, name: `${plan.name}${label}`, totals }, log);
    this.#pool = supervise(poolWorkerPlan(config));
    const serials = Array.from({ length: config.unpackWorkers }, (_, index) => index + 1);
    this.#unpackers = serials.map((serial) => supervise(unpackWorkerPlan(config, serial)));
    this.#grpc = config.grpcAddress === undefined ? undefined : supervise(grpcWorkerPlan(config));
  }

  get states(): PoolStates {
    const unpackers = this.#unpackers.map((supervisor) => supervisor.state);
    return { pool: this.#pool.state, unpackers, grpc: this.#grpc?.state };
  }

  /** What is wrong with the running children, one sentence each. */
  get troubles(): Readonly<Record<keyof PoolStates, readonly string[]>> {
    const of = (...supervisors: readonly (ChildSupervisor | undefined)[]) =>
      supervisors.flatMap((supervisor) => supervisor?.trouble ?? []);
    return { pool: of(this.#pool), unpackers: of(...this.#unpackers), grpc: of(this.#grpc) };
  }

  /** The age of each worker's last heartbeat; null: it is not running. */
  get beats(): Health["heartbeatAgesMs"] {
    const ageOf = (supervisor: ChildSupervisor) =>
      supervisor.silentMs === undefined ? null : Math.round(supervisor.silentMs);
    return {
      pool: ageOf(this.#pool),
      unpack: this.#unpackers.map(ageOf),
      grpc: this.#grpc === undefined ? null : ageOf(this.#grpc),
    };
  }

  get components(): readonly Component[] {
    return [this.#pool, ...this.#users].map(({ component }) => component);
  }

  /** Rejects as soon as a child cannot go on; never resolves. */
  get failed(): Promise<never> {
    return Promise.race([this.#pool, ...this.#users].map((supervisor) => supervisor.refused));
  }

  /** Throws the reason if a child cannot work. */
  async start(): Promise<void> {
    await this.#pool.start();
    await Promise.all(this.#users.map((supervisor) => supervisor.start()));
  }

  /** Returns the processes that did not end. Never rejects. */
  async stop(): Promise<readonly Left[]> {
    const users = await Promise.all(this.#users.map((supervisor) => supervisor.stop()));
    return [...users.flat(), ...(await this.#pool.stop())];
  }

  /** The children that use the pool's worker: started after it, stopped before it. */
  get #users(): readonly ChildSupervisor[] {
    return this.#grpc === undefined ? this.#unpackers : [this.#grpc, ...this.#unpackers];
  }
}
