// Room: test. Owns a pool of a test's own with its worker, a client, and unpack workers as they are asked for.
import { expect } from "bun:test";
import { paths } from "../../src/config.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import type { TestRedis } from "../support/redis.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { startWorker } from "./start-worker.ts";

/** Redis is emptied first. Disposing of it expects that nothing is left. */
export class PoolWorkers implements AsyncDisposable {
  readonly #workers: ReturnType<typeof startWorker>[] = [];
  #pool: ReturnType<typeof startWorker>["child"] | undefined;
  readonly snapmill: TestSnapmill;
  readonly client: JobClient;

  private constructor(snapmill: TestSnapmill, client: JobClient) {
    this.snapmill = snapmill;
    this.client = client;
  }

  static async open(redis: TestRedis, settings: Record<string, string> = {}): Promise<PoolWorkers> {
    await redis.flush();
    const snapmill = new TestSnapmill({ REDIS_URL: redis.url, ...settings });
    const client = await JobClient.connect({ redisUrl: redis.url, pool: snapmill.config.pool });
    const workers = new PoolWorkers(snapmill, client);
    await workers.start("pool");
    return workers;
  }

  async start(kind: "pool" | "unpack"): Promise<ReturnType<typeof startWorker>["child"]> {
    const worker = startWorker(this.snapmill, kind);
    this.#workers.unshift(worker);
    expect((await worker.announced).kind).toBe("ready");
    if (kind === "pool") this.#pool = worker.child;
    return worker.child;
  }

  async killPool(): Promise<void> {
    this.#pool?.kill("SIGKILL");
    await this.#pool?.exited;
  }

  read<T>(look: (database: ReturnType<typeof openDatabase>) => T): T {
    using database = openDatabase(paths.database(this.snapmill.config), { mode: "readonly" });
    return look(database);
  }

  /**
   * `test` on a pool of its own. What it throws is not covered up by what it leaves, as it would be by `await using`: the
   * runner shows no more of a SuppressedError than its name.
   */
  static async use(redis: TestRedis, test: (workers: PoolWorkers) => Promise<void>): Promise<void> {
    const workers = await PoolWorkers.open(redis);
    try {
      await test(workers);
    } catch (error) {
      await workers[Symbol.asyncDispose]().catch(() => undefined);
      throw error;
    }
    await workers[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    for (const { child } of this.#workers) {
      child.kill("SIGTERM");
      await child.exited;
    }
    using _files = this.snapmill;
    expect(this.snapmill.residue()).toEqual([]);
  }
}
