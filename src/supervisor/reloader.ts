// Room: supervisor. Owns the reload of a running `up`: what has changed is said in the log, and taken over as far as it can be.
import { type Change, changesBetween, takenOver } from "../config/changes.ts";
import { logLevels } from "../config/schema.ts";
import type { Reader } from "../config/setting.ts";
import type { Config, ServedReading } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { Logger } from "../logger.ts";
import type { Notifier } from "./notifier.ts";
import type { Services } from "./services.ts";

export interface Reloadable {
  /** What `up` runs with; not empty. */
  readonly configs: readonly Config[];
  readonly read: () => ServedReading;
  readonly services: Pick<Services, "reload">;
  /** Takes over what `up` itself reads, except the level of `log`. */
  readonly onOwn: (config: Config) => void;
  readonly notifier: Pick<Notifier, "reloading" | "ready">;
  readonly log: Logger;
}

/** Reloads one at a time. Once it is disposed of, it changes and says nothing more. */
export class Reloader implements Disposable {
  readonly #of: Reloadable;
  readonly #configs: Map<PoolName, Config>;
  #isRunning = false;
  #isWanted = false;
  #isOver = false;

  constructor(of: Reloadable) {
    this.#of = of;
    this.#configs = new Map(of.configs.map((config) => [config.pool, config]));
  }

  /** Never throws. While one runs, any number of requests are one: what is then read is newer than all of them. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isRunning) void this.#run();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
  }

  async #run(): Promise<void> {
    const { notifier, log } = this.#of;
    this.#isRunning = true;
    notifier.reloading();
    while (this.#isWanted && !this.#isOver) {
      this.#isWanted = false;
      try {
        await this.#reload();
      } catch (error) {
        if (!this.#isOver) log.error({ err: error }, "the configuration could not be read again");
      }
    }
    this.#isRunning = false;
    if (!this.#isOver) notifier.ready();
  }

  async #reload(): Promise<void> {
    const { log, read } = this.#of;
    const reading = read();
    if (reading.kind === "wrong") {
      for (const fault of reading.faults) log.error(`configuration: ${fault}`);
      log.error("configuration: nothing was changed, since it is not in order: mend it and send SIGHUP again");
      return;
    }
    const { served } = reading;
    const levelAfter = served[0]?.logLevel ?? "info";
    // What is said meanwhile is to be seen at either level.
    log.level = moreOf(log.level, levelAfter);
    try {
      await this.#takeOver(served);
    } finally {
      log.level = levelAfter;
    }
  }

  async #takeOver(served: readonly Config[]): Promise<void> {
    const { log } = this.#of;
    let hasChanged = this.#tellPools(served);
    const ofMachine = this.#changesOfMachine(served);
    for (const change of ofMachine) this.#tell(change, "");
    hasChanged ||= ofMachine.length > 0;
    for (const after of served) {
      const before = this.#configs.get(after.pool);
      if (before === undefined) continue;
      const changes = changesBetween(before, after);
      const label = this.#configs.size === 1 ? "" : `pool ${after.pool}: `;
      const ofPool = changes.filter(({ isOfPool }) => isOfPool);
      for (const change of ofPool) this.#tell(change, label);
      hasChanged ||= ofPool.length > 0;
      await this.#apply(before, takenOver(before, after, changes), changes);
    }
    if (this.#isOver) return;
    log.info(hasChanged ? "configuration: read again" : "configuration: read again; nothing has changed");
  }

  /** Of any pool that was and is served: they are the same in all. */
  #changesOfMachine(served: readonly Config[]): readonly Change[] {
    const after = served.find(({ pool }) => this.#configs.has(pool));
    const before = after && this.#configs.get(after.pool);
    if (after === undefined || before === undefined) return [];
    return changesBetween(before, after).filter(({ isOfPool }) => !isOfPool);
  }

  async #apply(before: Config, next: Config, changes: readonly Change[]): Promise<void> {
    const { services, onOwn, log } = this.#of;
    const readers = new Set<Reader>(changes.flatMap(({ readers: its = [] }) => its));
    if (readers.size === 0 || this.#isOver) return;
    if (readers.delete("up")) onOwn(next);
    try {
      if (readers.size > 0) await services.reload(next, readers);
      this.#configs.set(next.pool, next);
    } catch (error) {
      if (this.#isOver) return;
      const { message } = asSnapmillError(error);
      log.error(`configuration: the workers of pool ${before.pool} do not run with it, and keep theirs: ${message}`);
    }
  }

  #tell({ sentence, readers }: Change, label: string): void {
    const { log } = this.#of;
    if (readers === undefined) log.warn(`configuration: ${label}${sentence}: needs a restart`);
    else log.info(`configuration: ${label}${sentence}`);
  }

  /** Whether others are to be served. */
  #tellPools(served: readonly Config[]): boolean {
    const names = served.map(({ pool }) => pool);
    const added = names.filter((name) => !this.#configs.has(name)).map((name) => `pool ${name} was added`);
    const removed = [...this.#configs.keys()].filter((name) => !names.includes(name));
    const sentences = [...added, ...removed.map((name) => `pool ${name} was removed`)];
    for (const sentence of sentences) this.#of.log.warn(`configuration: ${sentence}: needs a restart`);
    return sentences.length > 0;
  }
}

/** Which of two levels logs more. */
function moreOf(one: string, other: string): string {
  const rank = (level: string) => (logLevels as readonly string[]).indexOf(level);
  return rank(one) < rank(other) ? one : other;
}
