// Room: test. Owns a snapmill that works off batches for a test: its commands, kills of its processes, what it holds, and all
// that it has written anywhere.
import { Database as SqliteDatabase } from "bun:sqlite";
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { paths } from "../../src/config.ts";
import { itemCount } from "../../src/domain/batches.ts";
import { batchId } from "../../src/domain/identifiers.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { answerReadBatch, type BatchSummary, type ReadItem } from "../../src/service/batches.ts";
import { answers } from "../support/redis.ts";
import { processesOf } from "../support/residue.ts";
import type { Finished, Started, TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";

export type BatchJson = BatchSummary & { readonly items: readonly ReadItem[] };

const processKinds = ["up", "pool worker", "unpack worker", "writer", "redis-server", "command"] as const;
type ProcessKind = (typeof processKinds)[number];

interface Kills {
  /** How many: of each kind of process in turn. */
  readonly kills: number;
  /** Of the batch's items. */
  readonly count: number;
  readonly random: () => number;
}

const patienceMs = 300_000;
const lookEveryMs = 50;

export class BatchRun implements AsyncDisposable {
  readonly snapmill: TestSnapmill;
  /** With which images are asked for. */
  readonly options: readonly string[];
  readonly #seen = new Set<string>();
  #up: Started;
  #isOver = false;
  readonly #watching: Promise<void>;

  private constructor(snapmill: TestSnapmill, options: readonly string[]) {
    this.snapmill = snapmill;
    this.options = options;
    this.#up = snapmill.start(["up"]);
    this.#watching = this.#watchProcesses();
  }

  /** Brings up a snapmill. */
  static async start(snapmill: TestSnapmill, { authFile }: { readonly authFile: string }): Promise<BatchRun> {
    const run = new BatchRun(snapmill, ["--plain-http", "--authfile", authFile]);
    await run.#untilRedisAnswers();
    return run;
  }

  async command(...args: readonly string[]): Promise<Finished> {
    return this.#noted(await this.snapmill.run(args));
  }

  /** What a command that must succeed writes. */
  async output(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.command(...args);
    if (exitCode !== 0) throw new Error(`${args.join(" ")} ended with ${exitCode ?? "a signal"}: ${stderr}`);
    return stdout;
  }

  async show(id: string): Promise<BatchJson> {
    return JSON.parse(await this.output("batch", "show", "--json", id)) as BatchJson;
  }

  /**
   * What the pool holds, and the rows of every table of its database but the journal, the account of the last unpacks, and
   * the device IDs to be used again.
   */
  async measure() {
    const { space, snapshots, devices, pendingRemovals } = await this.#metadata();
    using database = new SqliteDatabase(paths.database(this.snapmill.config), { readonly: true });
    const tables = database
      .query<{ name: string }, []>(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not in ('operations', 'unpacks', 'free_device_ids')",
      )
      .all();
    const rows = tables.map(({ name }) => {
      const counted = database.query<{ count: number }, []>(`select count(*) as count from "${name}"`).get();
      return [name, counted?.count] as const;
    });
    return {
      usedBytes: space.usedBytes,
      held: { snapshots, devices, pendingRemovals, rows: Object.fromEntries(rows) },
    };
  }

  /** Has the images of a batch removed that are done, and the batch. */
  async removeAll(id: string): Promise<void> {
    const { items } = await this.show(id);
    const names = items.filter(({ state }) => state === "done").map(({ reference }) => reference);
    await this.output("images", "rm", ...names);
    await this.output("batch", "rm", id);
    await until(
      "all devices are removed",
      () => this.#metadata(),
      ({ pendingRemovals }) => pendingRemovals === 0,
      patienceMs,
    );
  }

  /**
   * Kills a process of each kind in turn until the batch has ended, each when a random number of items has ended, and a
   * little later; what does not come again by itself is started again. Redis is emptied just before one of the kills.
   */
  async killWhile(id: string, { kills, count, random }: Kills): Promise<void> {
    const first = Math.floor(random() * processKinds.length);
    const emptied = Math.floor(random() * kills);
    const moments = Array.from({ length: kills }, () => ({
      ended: Math.floor(random() * count * 0.95),
      ms: random() * 500,
    }));
    let watch = this.#startWatch(id);
    for (const [index, { ended, ms }] of moments.toSorted((one, other) => one.ended - other.ended).entries()) {
      const kind = processKinds[(first + index) % processKinds.length] as ProcessKind;
      await until(
        `${ended} items have ended`,
        () => this.#ended(id),
        (seen) => seen >= ended,
        patienceMs,
      );
      await Bun.sleep(ms);
      if (index === emptied) await this.#emptyRedis();
      console.log(
        `${ended} items and ${ms.toFixed(0)} ms: killing ${kind}${index === emptied ? ", Redis emptied" : ""}`,
      );
      await this.#kill(kind, watch);
      if (kind === "up") this.#up = this.snapmill.start(["up"]);
      if (kind === "command") watch = this.#startWatch(id);
    }
    const { exitCode, stderr } = this.#noted(await watch.finished);
    if (exitCode !== 1) throw new Error(`the watch ended with ${exitCode ?? "a signal"}: ${stderr}`);
  }

  /** Ends `up` in order. */
  async end(): Promise<void> {
    this.#up.kill("SIGTERM");
    const ended = this.#noted(await this.#up.finished);
    this.#isOver = true;
    await this.#watching;
    expect(ended.exitCode).toBe(0);
  }

  /** Which of `texts` are in what was written by then: outputs, command lines, and files, Redis' log among them. */
  found(texts: readonly string[]): string[] {
    const files = readdirSync(this.snapmill.directory, { recursive: true, withFileTypes: true });
    const contents = files
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".img"))
      .map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1"));
    const everything = [...this.#seen, ...contents];
    expect(everything.some((text) => text.includes("submit-batch"))).toBe(true);
    return texts.filter((text) => everything.some((seen) => seen.includes(text)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#watching;
    // In order, so that it takes the pool down: its files can be deleted then.
    this.#up.kill("SIGTERM");
    await this.#up.finished;
  }

  #noted(finished: Finished): Finished {
    this.#seen.add(finished.stdout).add(finished.stderr);
    return finished;
  }

  async #watchProcesses(): Promise<void> {
    for (; !this.#isOver; await Bun.sleep(lookEveryMs))
      for (const line of processesOf(this.snapmill.directory)) this.#seen.add(line);
  }

  async #metadata() {
    const { metadata } = JSON.parse(await this.output("status", "--json")) as {
      metadata: { pendingRemovals: number; space: { usedBytes: number }; snapshots: object; devices: object };
    };
    return metadata;
  }

  #startWatch(id: string): Started {
    return this.snapmill.start(["batch", "show", "--watch", id]);
  }

  #ended(id: string): number {
    using database = openDatabase(paths.database(this.snapmill.config), { mode: "readonly" });
    const { counts } = answerReadBatch(database, { batch: batchId(id), limit: 1 }).batch;
    return itemCount(counts) - counts.pending - counts.running;
  }

  #untilRedisAnswers(): Promise<boolean> {
    return until("Redis answers", () => answers(paths.redisSocket(this.snapmill.config)), Boolean, patienceMs);
  }

  async #emptyRedis(): Promise<void> {
    await this.#untilRedisAnswers();
    const connection = new Redis({ path: paths.redisSocket(this.snapmill.config), maxRetriesPerRequest: 0 });
    try {
      await connection.flushall();
    } finally {
      connection.disconnect();
    }
  }

  async #kill(kind: ProcessKind, watch: Started): Promise<void> {
    switch (kind) {
      case "up":
        return await killAndWait(this.#up);
      case "command":
        return await killAndWait(watch);
      case "pool worker":
        return await this.#killOneOf("workers/pool.ts");
      case "unpack worker":
        return await this.#killOneOf("workers/unpack.ts");
      case "writer":
        return await this.#killOneOf("workers/writer.ts");
      case "redis-server":
        return await this.#killOneOf("redis-server");
    }
  }

  async #killOneOf(program: string): Promise<void> {
    const look = () => this.snapmill.pidsOf(program)[0];
    const pid = await until(`there is a process of ${program}`, look, (found) => found !== undefined, patienceMs);
    try {
      process.kill(pid ?? 0, "SIGKILL");
    } catch {
      // It has ended before the signal.
    }
  }
}

async function killAndWait(started: Started): Promise<void> {
  started.kill("SIGKILL");
  await started.finished;
}
