// Room: supervisor. Owns the reload of a running `up`: what has changed is said in the log, and taken over as far as it can be.
import { type Change, changesBetween, takenOver } from "../config/changes.ts";
import { logLevels, type Name } from "../config/schema.ts";
import type { Reader } from "../config/setting.ts";
import type { Config, ServedReading } from "../config.ts";
import type { PoolName } from "../domain/identifiers.ts";
import type { Logger } from "../logger.ts";
import type { Notifier } from "./notifier.ts";
import { NotTakenOver, type Step, type Takers, takeOverAll } from "./taking-over.ts";

type RightReading = Extract<ServedReading, { readonly kind: "right" }>;

/** `onOwn` leaves the level of `log` alone. */
export interface Reloadable extends Omit<Takers, "isOver"> {
  /** What `up` runs with; not empty. */
  readonly configs: readonly Config[];
  readonly read: () => ServedReading;
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
    const before = log.level;
    const after = reading.served[0]?.logLevel ?? "info";
    // What is said meanwhile is to be seen at either level.
    log.level = moreOf(before, after);
    let isTaken = false;
    try {
      isTaken = await this.#takeOver(reading);
    } finally {
      log.level = isTaken ? after : before;
    }
  }

  /** Whether all has taken over what it can. */
  async #takeOver({ served, placeOf }: RightReading): Promise<boolean> {
    const { services, onOwn, log } = this.#of;
    const hasChanged = this.#tellAll(served);
    const steps = served.flatMap((after) => this.#stepTo(after));
    try {
      await takeOverAll(steps, { services, onOwn, isOver: () => this.#isOver });
    } catch (error) {
      if (!(error instanceof NotTakenOver)) throw error;
      const places = steps.flatMap(({ next, names }) => names.map((name) => placeOf(next.pool, name)));
      if (!this.#isOver) this.#tellBack(error, [...new Set(places)]);
      for (const { next } of steps) if (error.ahead.has(next.pool)) this.#configs.set(next.pool, next);
      return false;
    }
    for (const { next } of steps) this.#configs.set(next.pool, next);
    if (!this.#isOver) log.info(`configuration: read again${hasChanged ? "" : "; nothing has changed"}`);
    return true;
  }

  /** Says what has changed, whether it is taken over or not; false: nothing. */
  #tellAll(served: readonly Config[]): boolean {
    let hasChanged = this.#tellPools(served);
    for (const change of this.#changesOfMachine(served)) {
      this.#tell(change, "");
      hasChanged = true;
    }
    for (const after of served) {
      const before = this.#configs.get(after.pool);
      const changes = before === undefined ? [] : changesBetween(before, after).filter(({ isOfPool }) => isOfPool);
      const label = this.#configs.size === 1 ? "" : `pool ${after.pool}: `;
      for (const change of changes) this.#tell(change, label);
      hasChanged ||= changes.length > 0;
    }
    return hasChanged;
  }

  /** `names`: the settings that are taken over. */
  #stepTo(after: Config): readonly (Step & { readonly names: readonly Name[] })[] {
    const before = this.#configs.get(after.pool);
    if (before === undefined) return [];
    const changes = changesBetween(before, after).filter(({ readers }) => readers !== undefined);
    const readers = new Set<Reader>(changes.flatMap(({ readers: its = [] }) => its));
    return [{ before, next: takenOver(before, after, changes), readers, names: changes.map(({ name }) => name) }];
  }

  #tellBack({ message, ahead }: NotTakenOver, places: readonly string[]): void {
    const { log } = this.#of;
    log.error(`configuration: ${message}`);
    for (const sentence of ahead.values()) log.error(`configuration: ${sentence}`);
    const what = `mend what is wrong at ${places.join(", ")}, and send SIGHUP again`;
    log.error(
      `configuration: taken back, ${ahead.size === 0 ? "every setting is" : "all others are"} as before: ${what}`,
    );
  }

  /** Of any pool that was and is served: they are the same in all. */
  #changesOfMachine(served: readonly Config[]): readonly Change[] {
    const after = served.find(({ pool }) => this.#configs.has(pool));
    const before = after && this.#configs.get(after.pool);
    if (after === undefined || before === undefined) return [];
    return changesBetween(before, after).filter(({ isOfPool }) => !isOfPool);
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
