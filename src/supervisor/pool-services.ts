// Room: supervisor. Owns the children of one pool: its worker, then what uses that worker.
import type { Logger } from "pino";
import type { Reader } from "../config/setting.ts";
import type { Config } from "../config.ts";
import type { Health } from "../domain/health.ts";
import type { Tally } from "../domain/tally.ts";
import type { Left } from "../system/process/processes.ts";
import type { ChildPlan, ChildState, Component } from "./child-plan.ts";
import { ChildSupervisor } from "./child-supervisor.ts";
import { ReplaceableChild } from "./replaceable-child.ts";
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
  readonly #surroundings: PoolSurroundings;
  readonly #pool: ReplaceableChild;
  readonly #unpackers: ReplaceableChild[];
  readonly #grpc: ReplaceableChild | undefined;
  /** Rejects when neither new settings nor the ones before let the children work. */
  readonly #broken = Promise.withResolvers<never>();
  readonly #left: Left[] = [];
  #config: Config;
  #isStopping = false;

  constructor(config: Config, surroundings: PoolSurroundings) {
    this.#config = config;
    this.#surroundings = surroundings;
    this.#broken.promise.catch(() => undefined);
    this.#pool = this.#child(poolWorkerPlan(config));
    this.#unpackers = serials(config).map((serial) => this.#child(unpackWorkerPlan(config, serial)));
    this.#grpc = config.grpcAddress === undefined ? undefined : this.#child(grpcWorkerPlan(config));
  }

  /** With which the children run. */
  get config(): Config {
    return this.#config;
  }

  get states(): PoolStates {
    const unpackers = this.#unpackers.map((supervisor) => supervisor.state);
    return { pool: this.#pool.state, unpackers, grpc: this.#grpc?.state };
  }

  /** What is wrong with the running children, one sentence each. */
  get troubles(): Readonly<Record<keyof PoolStates, readonly string[]>> {
    const of = (...supervisors: readonly (ReplaceableChild | undefined)[]) =>
      supervisors.flatMap((supervisor) => supervisor?.trouble ?? []);
    return { pool: of(this.#pool), unpackers: of(...this.#unpackers), grpc: of(this.#grpc) };
  }

  /** The age of each worker's last heartbeat; null: it is not running. */
  get beats(): Health["heartbeatAgesMs"] {
    const ageOf = (supervisor: ReplaceableChild) =>
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
    return Promise.race([this.#broken.promise, ...[this.#pool, ...this.#users].map(({ refused }) => refused)]);
  }

  /** Throws the reason if a child cannot work. */
  async start(): Promise<void> {
    await this.#pool.start();
    await Promise.all(this.#users.map((supervisor) => supervisor.start()));
  }

  /**
   * Lets the children run with `next`, one after the other: those of `readers` are replaced, and unpack workers come or go.
   * Throws why if one does not work with it; then all run as before.
   */
  async reload(next: Config, readers: ReadonlySet<Reader>): Promise<void> {
    const before = this.#config;
    this.#config = next;
    try {
      await this.#runWith(next, readers);
    } catch (error) {
      this.#config = before;
      if (!this.#isStopping) await this.#goBack(before, readers);
      throw error;
    }
  }

  async #goBack(before: Config, readers: ReadonlySet<Reader>): Promise<void> {
    try {
      await this.#runWith(before, readers);
    } catch (error) {
      this.#broken.reject(error);
    }
  }

  /** The pool's worker first: the others wait for it in the queue. */
  async #runWith(config: Config, readers: ReadonlySet<Reader>): Promise<void> {
    if (readers.has("pool")) await this.#pool.replace(this.#supervise(poolWorkerPlan(config)));
    for (const child of this.#unpackers.splice(config.unpackWorkers)) this.#left.push(...(await child.stop()));
    for (const [index, child] of this.#unpackers.entries()) {
      if (readers.has("unpack")) await child.replace(this.#supervise(unpackWorkerPlan(config, index + 1)));
    }
    for (const serial of serials(config).slice(this.#unpackers.length)) {
      if (this.#isStopping) return;
      const child = this.#child(unpackWorkerPlan(config, serial));
      this.#unpackers.push(child);
      await child.start();
    }
    if (readers.has("grpc")) await this.#grpc?.replace(this.#supervise(grpcWorkerPlan(config)));
  }

  /** Returns the processes that did not end. Never rejects. */
  async stop(): Promise<readonly Left[]> {
    this.#isStopping = true;
    const users = await Promise.all(this.#users.map((supervisor) => supervisor.stop()));
    return [...this.#left, ...users.flat(), ...(await this.#pool.stop())];
  }

  /** The children that use the pool's worker: started after it, stopped before it. */
  get #users(): readonly ReplaceableChild[] {
    return this.#grpc === undefined ? this.#unpackers : [this.#grpc, ...this.#unpackers];
  }

  #child(plan: ChildPlan): ReplaceableChild {
    return new ReplaceableChild(this.#supervise(plan));
  }

  #supervise(plan: ChildPlan): ChildSupervisor {
    const { label, totals, log } = this.#surroundings;
    return new ChildSupervisor({ ...plan, name: `${plan.name}${label}`, totals }, log);
  }
}

const serials = ({ unpackWorkers }: Config): readonly number[] =>
  Array.from({ length: unpackWorkers }, (_, index) => index + 1);
