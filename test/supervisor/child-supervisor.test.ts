import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { childEnvironment } from "../../src/config.ts";
import { encodeFailure, failedPrecondition, unavailable } from "../../src/domain/errors.ts";
import { createLogger, type Logger } from "../../src/logger.ts";
import type { ChildPlan } from "../../src/supervisor/child-plan.ts";
import { ChildSupervisor } from "../../src/supervisor/child-supervisor.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { isAlive, processesWith, untilInKernel } from "../support/processes.ts";
import { until } from "../support/until.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-supervisor-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const log = createLogger({ name: "test", level: "silent" });

/** Supervises a shell script; each of its processes appends its ID to the file `livesFile`. */
function keep(
  script: string,
  readiness: "announced" | (() => Promise<void>) = "announced",
  plan: Partial<Pick<ChildPlan, "graceMs" | "endsInOrder" | "hungAfterMs" | "clearTheWay">> = {},
  livesFile = "lives",
  to: Logger = log,
): ChildSupervisor {
  const argv = ["bash", "-c", `echo $$ >> ${directory}/${livesFile}; ${script}`];
  return new ChildSupervisor(
    {
      name: "the script",
      component: "script",
      argv,
      environment: childEnvironment({}),
      graceMs: 10_000,
      ...plan,
      readyWithinMs: 10_000,
      readiness: readiness === "announced" ? { kind: "announced" } : { kind: "probed", probe: readiness },
    },
    to,
  );
}

const lives = (livesFile = "lives"): number[] => {
  const path = join(directory, livesFile);
  return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").map(Number) : [];
};

const untilReady = (supervisor: ChildSupervisor, life: number) =>
  until(
    `life ${life} is ready`,
    () => ({ lives: lives(), state: supervisor.state }),
    ({ lives, state }) => lives.length === life && state.kind === "ready",
  );

describe("a kept child", () => {
  test("is ready when it says so, and gone after stop", async () => {
    const supervisor = keep("echo ready; sleep 600");
    await supervisor.start();
    const [pid = 0] = lives();
    expect(supervisor.state).toEqual({ kind: "ready", pid });
    expect(isAlive(pid)).toBe(true);
    await supervisor.stop();
    expect(isAlive(pid)).toBe(false);
    expect(supervisor.state).toEqual({ kind: "stopped" });
    expect(lives()).toHaveLength(1);
  });

  test("is ready when it answers a probe", async () => {
    const supervisor = keep("exec sleep 600", async () => {
      await until("it has started", () => Bun.file(join(directory, "lives")).size);
    });
    await supervisor.start();
    expect(supervisor.state.kind).toBe("ready");
    await supervisor.stop();
  });

  test("is started again when it dies, each time", async () => {
    const supervisor = keep("echo ready; exec sleep 600");
    await supervisor.start();
    for (const times of [1, 2]) {
      process.kill(lives().at(-1) ?? 0, "SIGKILL");
      await untilReady(supervisor, times + 1);
    }
    expect(lives().filter(isAlive)).toEqual([lives()[2] ?? 0]);
    await supervisor.stop();
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("is not said to have died of what it said of its start, but of what it said last", async () => {
    const said: string[] = [];
    const heard = pino({ level: "warn" }, { write: (line) => said.push(line) });
    const script = `echo 'WARNING of the start'; echo ready; [ -e ${directory}/told ] || exec sleep 600
      while [ ! -e ${directory}/go ]; do sleep 0.05; done; echo 'the disk is gone'; exit 1`;
    const supervisor = keep(script, "announced", {}, "lives", heard);
    await supervisor.start();
    writeFileSync(join(directory, "told"), "");
    process.kill(lives().at(-1) ?? 0, "SIGKILL");
    await untilReady(supervisor, 2);
    expect(said.join("")).toContain("the script was killed by SIGKILL; restarting it");
    expect(said.join("")).not.toContain("WARNING");
    writeFileSync(join(directory, "go"), "");
    await until(
      "its last words",
      () => said.join(""),
      (all) => all.includes("the script exited with status 1: the disk is gone; restarting it"),
    );
    await supervisor.stop();
  });

  test("that refuses to work is not started again, and its reason is passed on", async () => {
    const refusal = encodeFailure(failedPrecondition("the database is newer than this program"));
    writeFileSync(join(directory, "refusal"), `refused ${refusal}\n`);
    const supervisor = keep(`cat ${directory}/refusal; exit 1`);
    await expect(supervisor.start()).rejects.toMatchObject({
      code: "failed_precondition",
      message: "the database is newer than this program",
    });
    await expect(supervisor.refused).rejects.toMatchObject({ code: "failed_precondition" });
    expect(lives()).toHaveLength(1);
    await supervisor.stop();
  });

  test("that refuses while it works is not started again, and its reason is passed on", async () => {
    writeFileSync(join(directory, "refusal"), `refused ${encodeFailure(failedPrecondition("the name was lost"))}\n`);
    const supervisor = keep(`echo ready; sleep 0.2; cat ${directory}/refusal; exit 1`);
    await supervisor.start();
    await expect(supervisor.refused).rejects.toMatchObject({
      code: "failed_precondition",
      message: "the name was lost",
    });
    expect(supervisor.state).toEqual({ kind: "stopped" });
    await supervisor.stop();
    expect(lives()).toHaveLength(1);
  });

  test("that refuses after it had worked ends the keeping", async () => {
    writeFileSync(join(directory, "refusal"), `refused ${encodeFailure(failedPrecondition("another owner"))}\n`);
    const supervisor = keep(`if [ -e ${directory}/again ]; then cat ${directory}/refusal; exit 1; fi
      touch ${directory}/again; echo ready; exit 0`);
    await supervisor.start();
    await expect(supervisor.refused).rejects.toThrow("another owner");
    expect(lives()).toHaveLength(2);
    await supervisor.stop();
  });

  test("that never gets ready is given up after a few starts", async () => {
    const supervisor = keep("echo some chatter; exit 3");
    await expect(supervisor.start()).rejects.toMatchObject({
      code: "unavailable",
      message: "the script exited with status 3 5 times before it was ready: some chatter",
    });
    expect(lives()).toHaveLength(5);
  });

  test("whose program does not exist is not tried again", async () => {
    const supervisor = keep("exec /no/such/program");
    await expect(supervisor.start()).rejects.toMatchObject({ code: "failed_precondition" });
    expect(lives()).toHaveLength(1);
  });

  test("that is deaf to SIGTERM is killed when its grace is over", async () => {
    const supervisor = keep("trap '' TERM; echo ready; while :; do sleep 0.1; done", "announced", { graceMs: 200 });
    await supervisor.start();
    await supervisor.stop();
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("can be stopped before it is ready, and while it waits for its next start", async () => {
    const slow = keep("exec sleep 600");
    const started = slow.start();
    await until("it has started", () => Bun.file(join(directory, "lives")).size);
    await slow.stop();
    await expect(started).rejects.toMatchObject({ code: "aborted" });
    expect(lives().filter(isAlive)).toEqual([]);

    const dying = keep("echo ready; exit 1");
    await dying.start();
    await until(
      "it waits for its next start",
      () => dying.state,
      ({ kind }) => kind === "waiting",
    );
    await dying.stop();
    const livesAtStop = lives();
    // A second one dies as often after that: the stopped one, had it gone on, would have been started before it.
    const later = keep("exit 1", "announced", {}, "later");
    const ended = later.start().catch(() => undefined);
    await until(
      "the second one was started once more",
      () => lives("later").length,
      (count) => count > livesAtStop.length,
    );
    await later.stop();
    await ended;
    expect(lives()).toEqual(livesAtStop);
  });

  test("that must end in order gets one more life when it was killed just before the stop", async () => {
    const script = `trap 'touch ${directory}/tidied; exit 0' TERM; echo ready; while :; do sleep 0.05; done`;
    const supervisor = keep(script, "announced", { endsInOrder: true });
    await supervisor.start();
    process.kill(lives()[0] ?? 0, "SIGKILL");
    await supervisor.stop();
    expect(existsSync(join(directory, "tidied"))).toBe(true);
    expect(lives()).toHaveLength(2);
    expect(lives().filter(isAlive)).toEqual([]);
  });

  test("that ends in order gets no other life", async () => {
    const supervisor = keep("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done", "announced", {
      endsInOrder: true,
    });
    await supervisor.start();
    await supervisor.stop();
    expect(lives()).toHaveLength(1);
  });

  test("may say more than a pipe holds", async () => {
    const supervisor = keep(
      `echo ready; head -c 1000000 /dev/zero | tr '\\0' x | fold; touch ${directory}/said; exec sleep 600`,
    );
    await supervisor.start();
    await until("all is said", () => existsSync(join(directory, "said")));
    await supervisor.stop();
  });

  test("that announces why it ends has its reason reported, and is not started forever", async () => {
    writeFileSync(join(directory, "reason"), `failed ${encodeFailure(unavailable("its disk is away"))}\n`);
    const supervisor = keep(`cat ${directory}/reason; exit 1`);
    await expect(supervisor.start()).rejects.toThrow(
      "exited with status 1 5 times before it was ready: its disk is away",
    );
  });

  test("whose way can be cleared is started once more, and is ready", async () => {
    let cleared = 0;
    const clearTheWay = (words: string) => {
      cleared += 1;
      if (words !== "something is in the way") return undefined;
      writeFileSync(join(directory, "cleared"), "");
      return "it is out of the way";
    };
    const script = `[ -e ${directory}/cleared ] && { echo ready; exec sleep 600; }; echo something is in the way; exit 1`;
    const supervisor = keep(script, "announced", { clearTheWay });
    await supervisor.start();
    expect([cleared, lives().length]).toEqual([1, 2]);
    await supervisor.stop();
  });

  test("whose descendants outlive it leaves none of them to its next life", async () => {
    const supervisor = keep(`sleep 600 & echo $! >> ${directory}/grandchildren; echo ready; wait`);
    await supervisor.start();
    process.kill(lives()[0] ?? 0, "SIGKILL");
    await untilReady(supervisor, 2);
    await supervisor.stop();
    const grandchildren = readFileSync(join(directory, "grandchildren"), "utf8").trim().split("\n").map(Number);
    expect(grandchildren.filter(isAlive)).toEqual([]);
  });
});

describe("a kept child that goes silent", () => {
  const hungAfterMs = 600;

  test("and spins, or is blocked, is replaced", async () => {
    const script = `echo ready; echo 'beat ""'; [ -e ${directory}/spun ] && { [ -e ${directory}/slept ] && {
      while :; do echo 'beat ""'; sleep 0.05; done; }; touch ${directory}/slept; exec sleep 600; }
      touch ${directory}/spun; while :; do :; done`;
    const supervisor = keep(script, "announced", { hungAfterMs });
    await supervisor.start();
    await untilReady(supervisor, 3);
    expect(lives().slice(0, 2).filter(isAlive)).toEqual([]);
    await supervisor.stop();
  });

  test("because an operator stopped it is reported, left alone, and healthy again once continued", async () => {
    const supervisor = keep(`echo ready; while :; do echo 'beat ""'; sleep 0.05; done`, "announced", { hungAfterMs });
    await supervisor.start();
    const [pid = 0] = lives();
    process.kill(pid, "SIGSTOP");
    await until(
      "it is silent",
      () => supervisor.silentMs ?? 0,
      (silentMs) => silentMs > 2 * hungAfterMs,
    );
    expect(supervisor.trouble).toBe(
      `the script is stopped by a signal or a debugger: continue it with 'kill -CONT ${pid}'`,
    );
    process.kill(pid, "SIGCONT");
    await until(
      "it is well again",
      () => ({ trouble: supervisor.trouble, silentMs: supervisor.silentMs ?? 0 }),
      ({ trouble, silentMs }) => trouble === undefined && silentMs < hungAfterMs,
    );
    expect(lives()).toEqual([pid]);
    process.kill(pid, "SIGSTOP");
    await supervisor.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test("says what is wrong with it while it still beats", async () => {
    const supervisor = keep(`echo ready; echo 'beat "cannot write"'; exec sleep 600`, "announced", {
      hungAfterMs: 60_000,
    });
    await supervisor.start();
    await until(
      "its trouble is told",
      () => supervisor.trouble,
      (trouble) => trouble === "the script cannot write",
    );
    await supervisor.stop();
  });
});

test("a child that no signal ends is given up and reported, and ends when its disk is back", async () => {
  const image = join(directory, "disk.img");
  const disk = join(directory, "disk");
  await runCommand("truncate", ["-s", "16M", image]);
  await runCommand("mkfs.ext4", ["-q", image]);
  mkdirSync(disk);
  await runCommand("mount", ["-o", "loop", image, disk]);
  try {
    const supervisor = keep(`echo ready; fsfreeze -f ${disk}; touch ${disk}/file`, "announced", { graceMs: 200 });
    await supervisor.start();
    await untilInKernel(`touch ${disk}`);
    const [pid = 0] = processesWith(`touch ${disk}`);
    const left = await supervisor.stop();
    expect(left).toMatchObject([{ kind: "left", pid }]);
    expect(left[0]?.reason).toContain("it waits in the kernel");
    await runCommand("fsfreeze", ["-u", disk]);
    await until("it has ended", () => !isAlive(pid));
  } finally {
    await runCommand("fsfreeze", ["-u", disk]).catch(() => undefined);
    await runCommand("umount", [disk]);
  }
});
