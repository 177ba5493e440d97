// Room: supervisor. Owns one child across changes of its plan: the old process has ended before the new one starts.
import type { Left } from "../system/process/processes.ts";
import type { ChildState, Component } from "./child-plan.ts";
import type { ChildSupervisor } from "./child-supervisor.ts";

/** Started once, replaced any number of times, one after the other, and stopped once, also during a replacement. */
export class ReplaceableChild {
  readonly #refused = Promise.withResolvers<never>();
  readonly #left: Left[] = [];
  #supervisor: ChildSupervisor;
  /** The end of the present supervisor, once somebody wants it. */
  #end: Promise<readonly Left[]> | undefined;
  #isOver = false;
  /** Of the supervisors before the present one. */
  #earlierRestarts = 0;

  constructor(supervisor: ChildSupervisor) {
    this.#supervisor = supervisor;
    // An unhandled rejection would end the process.
    this.#refused.promise.catch(() => undefined);
  }

  get state(): ChildState {
    return this.#supervisor.state;
  }

  get trouble(): string | undefined {
    return this.#supervisor.trouble;
  }

  get silentMs(): number | undefined {
    return this.#supervisor.silentMs;
  }

  get component(): Component {
    const { component, pid, restarts } = this.#supervisor.component;
    return { component, pid, restarts: restarts + this.#earlierRestarts };
  }

  /** Rejects when the child can never work, except while a replacement starts: then `replace` throws. Never resolves. */
  get refused(): Promise<never> {
    return this.#refused.promise;
  }

  /** Resolves when the child is first usable; rejects if it never will be. */
  async start(): Promise<void> {
    this.#heed(this.#supervisor);
    await this.#supervisor.start();
  }

  /** Ends the child in order, then starts `next` in its place. Throws if that never becomes usable: then none runs. */
  async replace(next: ChildSupervisor): Promise<void> {
    this.#earlierRestarts += this.#supervisor.component.restarts;
    this.#left.push(...(await this.#ended()));
    if (this.#isOver) return;
    this.#supervisor = next;
    this.#end = undefined;
    await next.start();
    this.#heed(next);
  }

  /** Returns the processes that did not end, also of those that were replaced. */
  async stop(): Promise<readonly Left[]> {
    this.#isOver = true;
    return [...(await this.#ended()), ...this.#left];
  }

  #ended(): Promise<readonly Left[]> {
    this.#end ??= this.#supervisor.stop();
    return this.#end;
  }

  #heed(supervisor: ChildSupervisor): void {
    supervisor.refused.catch((error: unknown) => this.#refused.reject(error));
  }
}
