// Room: test. Owns the guest: its output and exit status, and that it leaves nothing behind.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { isAlive, processesWith } from "../support/processes.ts";
import { until } from "../support/until.ts";
import {
  guestDied,
  guestTimedOut,
  guestTroubleVariable,
  inGuest,
  setUpGuest,
  setUpTimeoutMs,
  whyNoGuest,
} from "./guest.ts";

const root = join(import.meta.dir, "../..");
const reason = whyNoGuest();
const timeoutMs = 300_000;
const guestTest = (title: string, body: () => Promise<void>) =>
  test.skipIf(reason !== undefined)(reason === undefined ? title : `${title} (skipped: ${reason})`, body, timeoutMs);

let directory: string;
let shared: string;

beforeAll(async () => {
  if (reason === undefined) await setUpGuest();
  directory = mkdtempSync(join(tmpdir(), "guest-"));
  shared = join(directory, "shared");
  mkdirSync(shared);
}, setUpTimeoutMs);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A guest whose files all lie in a directory of its own, so that they can be told from others'. */
function startGuest(
  command: readonly string[],
  timeoutSeconds: number,
  environment: Readonly<Record<string, string>> = {},
) {
  const own = mkdtempSync(join(directory, "own-"));
  const child = Bun.spawn(inGuest(command, { timeoutSeconds, shares: [shared] }), {
    env: { ...childEnvironment(environment), TMPDIR: own },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return { child, own, files: () => readdirSync(own) };
}

test("a machine that can have no guest says why", () => {
  if (process.arch !== "x64") expect(reason).toContain("amd64 alone");
  else if (process.getuid?.() !== 0) expect(reason).toBe("the guest needs root");
  else expect(reason).toBeUndefined();
});

guestTest("the command has device-mapper, its output and its exit status come out, its changes do not", async () => {
  const script = `dmsetup targets | grep -o thin-pool && seq 1 50000 && touch /etc/guest-was-here &&
    echo kept >'${shared}/kept' && echo a complaint >&2; exit 7`;
  const { child, files } = startGuest(["bash", "-c", script], 290);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const numbers = Array.from({ length: 50_000 }, (_, index) => `${index + 1}\n`).join("");
  expect(out).toBe(`thin-pool\n${numbers}`);
  expect(err).toBe("a complaint\n");
  expect(await child.exited).toBe(7);
  expect(existsSync("/etc/guest-was-here")).toBe(false);
  expect(readFileSync(join(shared, "kept"), "utf8")).toBe("kept\n");
  expect(files()).toEqual([]);
});

guestTest("a command that takes too long ends with 124, and nothing of it stays", async () => {
  const { child, own, files } = startGuest(["sleep", "1000"], 2);
  expect(await child.exited).toBe(guestTimedOut);
  expect(await new Response(child.stderr).text()).toContain("the time was up after 2 s");
  expect(processesWith(own)).toEqual([]);
  expect(files()).toEqual([]);
});

describe("on a processor with a register set of 11,008 bytes, as those with AMX have", () => {
  const guest = join(root, ".tools/guest");
  let wideProcessor: string;
  beforeAll(async () => {
    if (reason !== undefined) return;
    wideProcessor = join(directory, "wide-processor.so");
    const script = `cd "$0" && log="$1.log" && . scripts/packages.sh && . test/guest/compile.sh && compile "$@"`;
    const sources = [wideProcessor, "test/guest/wide-processor.c"];
    expect((await runCommand("bash", ["-c", script, root, ...sources], { timeoutMs: setUpTimeoutMs })).exitCode).toBe(
      0,
    );
  }, setUpTimeoutMs);

  guestTest(
    "the guest kernel alone does not boot, which is told with its reason, and nothing of it stays",
    async () => {
      const { child, own, files } = startGuest(["true"], 60, { GUEST_PRELOAD: wideProcessor });
      expect(await child.exited).toBe(guestDied);
      const said = await new Response(child.stderr).text();
      expect(said).toContain(
        "the guest does not boot; its console says: userspace - ptrace set fp regs failed, errno = 14",
      );
      expect(processesWith(own)).toEqual([]);
      expect(files()).toEqual([]);
    },
  );

  guestTest("it boots with wide-xstate.so, and floating-point registers survive a change of process", async () => {
    const preload = `${join(guest, "wide-xstate.so")} ${wideProcessor}`;
    const sum = `seq 1 0.25 2000 | awk '{ sum += $1 } END { printf "%.2f\\n", sum }'`;
    const script = `${sum} & ${sum} & wait`;
    const { child } = startGuest(["bash", "-c", script], 60, { GUEST_PRELOAD: preload });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect(err).toBe("");
    expect(out).toBe("8000998.50\n8000998.50\n");
    expect(await child.exited).toBe(0);
  });
});

test("a guest that is known not to boot is not tried again, and says why", async () => {
  const environment = { ...childEnvironment({}), [guestTroubleVariable]: "the moon is wrong" };
  const child = Bun.spawn(inGuest(["true"]), { env: environment, stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  expect(await new Response(child.stderr).text()).toBe("guest: the moon is wrong\n");
  expect(await child.exited).toBe(guestDied);
});

guestTest("a guest whose boot takes too long is given up, and nothing of it stays", async () => {
  const own = mkdtempSync(join(directory, "own-"));
  const child = Bun.spawn(inGuest(["true"], { bootSeconds: 0 }), {
    env: { ...childEnvironment({}), TMPDIR: own },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  expect(await new Response(child.stderr).text()).toContain("the guest did not boot within 0 s");
  expect(await child.exited).toBe(guestDied);
  expect(processesWith(own)).toEqual([]);
  expect(readdirSync(own)).toEqual([]);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  guestTest(`${signal} cuts the guest's power: what was flushed is there, no process stays`, async () => {
    const flushed = join(shared, signal);
    const script = `echo flushed >'${flushed}.new' && sync && mv '${flushed}.new' '${flushed}'; sleep 1000`;
    const { child, own, files } = startGuest(["bash", "-c", script], 290);
    const hasEnded = () => child.exitCode !== null;
    await until("the guest has flushed or ended", () => existsSync(flushed) || hasEnded(), Boolean, 280_000);
    expect(hasEnded() ? await new Response(child.stderr).text() : "it runs").toBe("it runs");
    const guest = processesWith(own);
    expect(guest.length).toBeGreaterThan(1);
    child.kill(signal);
    await child.exited;
    await until(
      "all its processes have ended",
      () => guest.filter(isAlive),
      ({ length }) => length === 0,
      5_000,
    );
    expect(processesWith(own)).toEqual([]);
    expect(readFileSync(flushed, "utf8")).toBe("flushed\n");
    if (signal === "SIGTERM") expect(files()).toEqual([]);
  });
}
