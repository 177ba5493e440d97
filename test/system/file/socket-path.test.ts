import { afterAll, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSnapmillError } from "../../../src/domain/errors.ts";
import { claimSocketPath } from "../../../src/system/file/socket-path.ts";

const directory = mkdtempSync(join(tmpdir(), "snapmill-socket-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const refusal = async (path: string): Promise<string> => {
  try {
    using _claimed = await claimSocketPath(path);
  } catch (error) {
    if (isSnapmillError(error, "failed_precondition")) return error.message;
    throw error;
  }
  return "not refused";
};

const listenAt = (path: string) => Bun.listen({ unix: path, socket: { data: () => undefined } });

test("a free path can be had, with the directories above it, and is free again afterwards", async () => {
  const path = join(directory, "new/below/a.sock");
  {
    using claimed = await claimSocketPath(path);
    expect(claimed.path).toBe(path);
    const server = listenAt(path);
    expect(existsSync(path)).toBe(true);
    server.stop(true);
  }
  expect([existsSync(path), existsSync(`${path}.lock`)]).toEqual([false, false]);
});

test("a socket without a listener is replaced", async () => {
  const path = join(directory, "stale.sock");
  const program = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } }); process.kill(process.pid, "SIGKILL")`;
  await Bun.spawn([process.execPath, "-e", program]).exited;
  expect(existsSync(path)).toBe(true);
  using _claimed = await claimSocketPath(path);
  expect(existsSync(path)).toBe(false);
});

test("a socket with a listener is refused, and stays", async () => {
  const path = join(directory, "live.sock");
  const server = listenAt(path);
  expect(await refusal(path)).toBe(`another program listens at ${path}: stop it, or use another path`);
  expect([existsSync(path), existsSync(`${path}.lock`)]).toEqual([true, false]);
  server.stop(true);
});

test("what is no socket is left alone", async () => {
  const file = join(directory, "file");
  writeFileSync(file, "precious");
  const below = join(directory, "directory");
  mkdirSync(below);
  for (const path of [file, below]) expect(await refusal(path)).toContain(`${path} exists and is not a socket`);
  expect(existsSync(file)).toBe(true);
});

test("a path is one's at a time", async () => {
  const path = join(directory, "contended.sock");
  {
    using _claimed = await claimSocketPath(path);
    expect(await refusal(path)).toContain(`listens at ${path}`);
  }
  expect(await refusal(path)).toBe("not refused");
});

test("nothing is made where another user's link leads", async () => {
  const [theirs, elsewhere] = [join(directory, "theirs"), join(directory, "elsewhere")];
  for (const made of [theirs, elsewhere]) mkdirSync(made);
  symlinkSync(elsewhere, join(theirs, "link"));
  chownSync(theirs, 65_534, 65_534);
  expect(await refusal(join(theirs, "link/new/a.sock"))).toContain("belongs to user 65534");
  expect(existsSync(join(elsewhere, "new"))).toBe(false);
});
