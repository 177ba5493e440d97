import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { encodeFailure, failedPrecondition } from "../../src/domain/errors.ts";
import { createLogger } from "../../src/logger.ts";
import { Keeper } from "../../src/supervisor/keeper.ts";
import { eventually, isAlive } from "../support/processes.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-keeper-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const log = createLogger({ name: "test", level: "silent" });

/** Keeps a shell script; every life of it adds its process ID to the file `lives`. */
function keep(
  script: string,
  readiness: "announced" | (() => Promise<void>) = "announced",
  plan: { graceMs?: number; endsInOrder?: boolean } = {},
): Keeper {
  const argv = ["bash", "-c", `echo $$ >> ${directory}/lives; ${script}`];
  return new Keeper(
    {
      name: "the script",
      argv,
      environment: childEnvironment({}),
      graceMs: 10_000,
      ...plan,
      readyWithinMs: 10_000,
      readiness: readiness === "announced" ? { kind: "announced" } : { kind: "probed", probe: readiness },
    },
    log,
  );
}

const lives = (): number[] => readFileSync(join(directory, "lives"), "utf8").trim().split("\n").map(Number);

describe("a kept child", () => {
  test("is ready when it says so, and gone after stop", async () => {
    const keeper = keep("echo ready; sleep 600");
    await keeper.start();
    const [pid = 0] = lives();
    expect(keeper.state).toEqual({ kind: "ready", pid });
    expect(isAlive(pid)).toBe(true);
    await keeper.stop();
    expect(isAlive(pid)).toBe(false);
    expect(keeper.state).toEqual({ kind: "stopped" });
    expect(lives()).toHaveLength(1);
  });

  test("is ready when it answers a probe", async () => {
    const keeper = keep("exec sleep 600", async () => {
      await eventually(() => Bun.file(join(directory, "lives")).size > 0);
    });
    await keeper.start();
    expect(keeper.state.kind).toBe("ready");
    await keeper.stop();
  });

  test("is started again when it dies, each time", async () => {
    const keeper = keep("echo ready; exec sleep 600");
    await keeper.start();
    for (const times of [1, 2]) {
      process.kill(lives().at(-1) ?? 0, "SIGKILL");
      expect(await eventually(() => lives().length === times + 1 && keeper.state.kind === "ready")).toBe(true);
    }
    expect(lives().filter(isAlive)).toEqual([lives()[2] ?? 0]);
    await keeper.stop();
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("that refuses to work is not started again, and its reason is passed on", async () => {
    const refusal = encodeFailure(failedPrecondition("the database is newer than this program"));
    writeFileSync(join(directory, "refusal"), `refused ${refusal}\n`);
    const keeper = keep(`cat ${directory}/refusal; exit 1`);
    await expect(keeper.start()).rejects.toMatchObject({
      code: "failed_precondition",
      message: "the database is newer than this program",
    });
    await expect(keeper.refused).rejects.toMatchObject({ code: "failed_precondition" });
    expect(lives()).toHaveLength(1);
    await keeper.stop();
  });

  test("that refuses after it had worked ends the keeping", async () => {
    writeFileSync(join(directory, "refusal"), `refused ${encodeFailure(failedPrecondition("another owner"))}\n`);
    const keeper = keep(`if [ -e ${directory}/again ]; then cat ${directory}/refusal; exit 1; fi
      touch ${directory}/again; echo ready; exit 0`);
    await keeper.start();
    await expect(keeper.refused).rejects.toThrow("another owner");
    expect(lives()).toHaveLength(2);
    await keeper.stop();
  });

  test("that never gets ready is given up after a few starts", async () => {
    const keeper = keep("echo some chatter; exit 3");
    await expect(keeper.start()).rejects.toMatchObject({
      code: "unavailable",
      message: "the script exited with status 3 5 times before it was ready: some chatter",
    });
    expect(lives()).toHaveLength(5);
  });

  test("whose program does not exist is not tried again", async () => {
    const keeper = keep("exec /no/such/program");
    await expect(keeper.start()).rejects.toMatchObject({ code: "failed_precondition" });
    expect(lives()).toHaveLength(1);
  });

  test("that is deaf to SIGTERM is killed when its grace is over", async () => {
    const keeper = keep("trap '' TERM; echo ready; while :; do sleep 0.1; done", "announced", { graceMs: 200 });
    await keeper.start();
    await keeper.stop();
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("can be stopped before it is ready, and while it waits for its next start", async () => {
    const slow = keep("exec sleep 600");
    const started = slow.start();
    await eventually(() => Bun.file(join(directory, "lives")).size > 0);
    await slow.stop();
    await expect(started).rejects.toMatchObject({ code: "aborted" });
    expect(lives().filter(isAlive)).toEqual([]);

    const dying = keep("echo ready; exit 1");
    await dying.start();
    await eventually(() => dying.state.kind === "waiting");
    await dying.stop();
    const livesAtStop = lives().length;
    await Bun.sleep(500);
    expect(lives()).toHaveLength(livesAtStop);
  });

  test("that must end in order gets one more life when it was killed just before the stop", async () => {
    const script = `trap 'touch ${directory}/tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done`;
    const keeper = keep(script, "announced", { endsInOrder: true });
    await keeper.start();
    process.kill(lives()[0] ?? 0, "SIGKILL");
    await keeper.stop();
    expect(existsSync(join(directory, "tidied"))).toBe(true);
    expect(lives()).toHaveLength(2);
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("that ends in order gets no other life", async () => {
    const keeper = keep("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", "announced", {
      endsInOrder: true,
    });
    await keeper.start();
    await keeper.stop();
    expect(lives()).toHaveLength(1);
  });

  test("may say more than a pipe holds", async () => {
    const keeper = keep(
      `echo ready; head -c 1000000 /dev/zero | tr '\\0' x | fold; touch ${directory}/said; exec sleep 600`,
    );
    await keeper.start();
    expect(await eventually(() => existsSync(join(directory, "said")))).toBe(true);
    await keeper.stop();
  });
});
