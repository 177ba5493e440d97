// Room: test. Owns a private snapmill for tests of the command line, with or without a running `up`.
import { expect } from "bun:test";
import { z } from "zod";
import { paths } from "../../src/config.ts";
import { answers } from "../support/redis.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { until } from "../support/until.ts";

/** The fields that the commands print with --json. */
const printed = z
  .looseObject({
    key: z.string(),
    kind: z.string(),
    parent: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    snapshot: z.string(),
    layers: z.array(z.looseObject({ cached: z.boolean(), bytes: z.number() })),
    sizeBytes: z.number(),
    source: z.string(),
    options: z.array(z.string()),
    redis: z.looseObject({ failure: z.string().nullable() }).nullable(),
    metadata: z
      .looseObject({ space: z.object({ usedBytes: z.number(), totalBytes: z.number() }).nullable() })
      .nullable(),
  })
  .extend({ heldBy: z.looseObject({ holders: z.array(z.looseObject({})) }).nullable() })
  .partial();
type Printed = z.infer<typeof printed>;

export class CliFixture implements AsyncDisposable {
  readonly snapmill: TestSnapmill;
  #stopUp: () => Promise<void> = () => Promise.resolve();

  constructor(settings: Record<string, string> = {}) {
    this.snapmill = new TestSnapmill({
      SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
      SNAPMILL_LOG_LEVEL: "error",
      ...settings,
    });
  }

  /** Starts `up`, and waits until its Redis answers; jobs wait for the workers by themselves. */
  async up(): Promise<void> {
    const up = this.snapmill.start(["up"]);
    this.#stopUp = async () => {
      up.kill("SIGTERM");
      const { exitCode, stderr } = await up.finished;
      expect(stderr).toBe("");
      expect(exitCode).toBe(0);
    };
    await until(
      "Redis answers",
      async () => ({ answers: await answers(paths.redisSocket(this.snapmill.config)), said: up.said() }),
      (state) => state.answers,
      60_000,
    );
  }

  run(...args: readonly string[]) {
    return this.snapmill.run(args);
  }

  /** The output of a command, which must succeed. */
  async stdout(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(...args);
    expect(stderr.replaceAll(/^(snapmill: mounted .*|oci:.*)\n/gm, "")).toBe("");
    expect(exitCode).toBe(0);
    return stdout;
  }

  /** The objects that a command prints with --json, one a line. */
  async json(...args: readonly string[]): Promise<Printed[]> {
    const stdout = await this.stdout(...args, "--json");
    return stdout.split("\n").flatMap((line) => (line === "" ? [] : [printed.parse(JSON.parse(line))]));
  }

  /** The one line of error of a command, which must fail. */
  async failure(status: number, ...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(...args);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^snapmill: [^\n]+\n$/);
    expect(exitCode).toBe(status);
    return stderr.slice("snapmill: ".length, -1);
  }

  /** Ends what `up` started, in order. */
  async down(): Promise<void> {
    const stop = this.#stopUp;
    this.#stopUp = () => Promise.resolve();
    await stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    expect(this.snapmill.residue()).toEqual([]);
    this.snapmill[Symbol.dispose]();
  }
}
