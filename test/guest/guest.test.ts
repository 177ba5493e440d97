// Room: test. Owns the guest's own promises: what comes out of it, and that nothing of it stays.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { eventually, isAlive, processesWith } from "../support/processes.ts";
import { guestTimedOut, inGuest, setUpGuest, setUpTimeoutMs, whyNoGuest } from "./guest.ts";

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
function startGuest(command: readonly string[], timeoutSeconds: number) {
  const own = mkdtempSync(join(directory, "own-"));
  const child = Bun.spawn(inGuest(command, { timeoutSeconds, shares: [shared] }), {
    env: { ...childEnvironment({}), TMPDIR: own },
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

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  guestTest(`${signal} cuts the guest's power: what was flushed is there, no process stays`, async () => {
    const flushed = join(shared, signal);
    const script = `echo flushed >'${flushed}.new' && sync && mv '${flushed}.new' '${flushed}'; sleep 1000`;
    const { child, own, files } = startGuest(["bash", "-c", script], 290);
    expect(await eventually(() => existsSync(flushed), 280_000)).toBe(true);
    const guest = processesWith(own);
    expect(guest.length).toBeGreaterThan(1);
    child.kill(signal);
    await child.exited;
    expect(await eventually(() => !guest.some(isAlive), 5_000)).toBe(true);
    expect(processesWith(own)).toEqual([]);
    expect(readFileSync(flushed, "utf8")).toBe("flushed\n");
    if (signal === "SIGTERM") expect(files()).toEqual([]);
  });
}
