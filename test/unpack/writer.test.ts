// Room: test. Owns the writer process and its parent's handle: kills of either side, stops and cancellations.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { attachLoop, isHeldExclusively } from "../../src/system/block/loop.ts";
import type { FaultPoint } from "../../src/system/faults.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { hasNothingToReplay } from "../../src/system/mount/rest.ts";
import { encodeMessage } from "../../src/unpack/messages.ts";
import type { ApplyRequest } from "../../src/unpack/protocol.ts";
import { startWriter, type Writer } from "../../src/unpack/writer.ts";
import { tar } from "../support/tar.ts";
import { directory as directoryEntry, file, sparse, symlink, whiteout } from "../support/tar-entries.ts";
import { until } from "../support/until.ts";
import { requestFor } from "./requests.ts";
import { makeExt4 } from "./scratch.ts";

setDefaultTimeout(60_000);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-writer-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const small = tar([file("a", "a"), file("b", Buffer.alloc(100_000, "b"))]);
const large = tar(Array.from({ length: 60 }, (_, index) => file(`f${index}`, Buffer.alloc(2 ** 20, index))));

async function device() {
  const path = join(directory, crypto.randomUUID());
  await makeExt4(path, 128 * 2 ** 20);
  return attachLoop(path);
}

const environment = (fault?: string) => childEnvironment({ SNAPMILL_FAULT: fault });

/** Children of this process that run a writer, found in /proc. */
function writerPids(): number[] {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "latin1").split(" ");
  return children.map(Number).filter((pid) => pid > 0 && commandLine(pid).includes("workers/writer.ts"));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

/** What a dead writer leaves: no mount. A mounted or held device cannot be opened exclusively. */
async function expectFree(path: string): Promise<void> {
  const exclusive = 0o200;
  await (await open(path, exclusive)).close();
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "it succeeded",
    (error: unknown) => error,
  );

async function apply(writer: Writer, request: ApplyRequest) {
  const applied = await writer.apply(request);
  await expectFree(request.devicePath);
  return applied;
}

describe("a writer", () => {
  test("applies one layer after the other in one process, and ends with its handle", async () => {
    await using loop = await device();
    const writer = startWriter({ environment: environment() });
    expect(await apply(writer, await requestFor(directory, loop.path, small))).toMatchObject({
      bytes: small.length,
      entries: 2,
    });
    const pids = writerPids();
    expect(pids).toHaveLength(1);
    expect(await apply(writer, await requestFor(directory, loop.path, large, "gzip"))).toMatchObject({ entries: 60 });
    expect(writerPids()).toEqual(pids);
    await writer[Symbol.asyncDispose]();
    expect(writerPids()).toEqual([]);
  });

  test("ends its process after a time without work, with what that had mounted, and starts another", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment(), idleMs: 200 });
    await writer.apply({ ...(await requestFor(directory, loop.path, small)), keepsMount: true });
    const [pid] = writerPids();
    await until("the idle process has ended", () => writerPids().length === 0);
    // Its descriptors are closed last.
    await until("the device is free", async () => !(await isHeldExclusively(loop.path)));
    await writer.release();
    expect(writerPids()).toEqual([]);
    writer.start();
    expect(writerPids()).not.toContain(pid);
    expect(await apply(writer, await requestFor(directory, loop.path, large))).toMatchObject({ entries: 60 });
    await until("that process has ended, too", () => writerPids().length === 0);
    await expectFree(loop.path);
  });

  test("keeps a device mounted and at rest for the next layer, until it is released or another device is written to", async () => {
    await using loop = await device();
    await using other = await device();
    await using writer = startWriter({ environment: environment() });
    const keptMounted = async (layer: Buffer) => {
      await writer.apply({ ...(await requestFor(directory, loop.path, layer)), keepsMount: true });
      expect(await hasNothingToReplay(loop.path)).toBe(true);
      expect(await isHeldExclusively(loop.path)).toBe(true);
    };
    await writer.release();
    await keptMounted(small);
    await keptMounted(tar([whiteout(".wh.a"), file("c", "c")]));
    await apply(writer, await requestFor(directory, loop.path, tar([file("d", "d")])));
    await keptMounted(tar([file("e", "e")]));
    await apply(writer, await requestFor(directory, other.path, small));
    await expectFree(loop.path);
    await keptMounted(small);
    await writer.release();
    await writer.release();
    await expectFree(loop.path);
    const [pid = 0] = writerPids();
    using mount = mountDetached({ source: loop.path, fsType: "ext4", options: [], readOnly: true });
    const names = readdirSync(`/proc/self/fd/${mount.fd}/.`).filter((name) => name !== "lost+found");
    expect(names.sort()).toEqual(["a", "b", "c", "d", "e"]);
    expect(writerPids()).toEqual([pid]);
  });

  test("leaves nothing of a device that was kept mounted when the next layer is refused", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    await writer.apply({ ...(await requestFor(directory, loop.path, small)), keepsMount: true });
    const hostile = await requestFor(directory, loop.path, tar([file(".wh...")]));
    expect(await rejection(writer.apply({ ...hostile, keepsMount: true }))).toMatchObject({ code: "invalid_argument" });
    await expectFree(loop.path);
  });

  test("that does not release its device is killed, which does", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    await writer.apply({ ...(await requestFor(directory, loop.path, small)), keepsMount: true });
    const [pid = 0] = writerPids();
    process.kill(pid, "SIGSTOP");
    await writer.release();
    await expectFree(loop.path);
    expect(writerPids()).toEqual([]);
    await apply(writer, await requestFor(directory, loop.path, small));
  });

  test("goes on after a layer that was refused", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const hostile = await requestFor(directory, loop.path, tar([file(".wh...")]));
    const failure = await rejection(writer.apply(hostile));
    expect(failure).toMatchObject({ code: "invalid_argument" });
    expect(String(failure)).toContain("whiteout");
    const pids = writerPids();
    await apply(writer, await requestFor(directory, loop.path, small));
    expect(writerPids()).toEqual(pids);
  });

  test("reports progress that grows, up to the blob's size", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, loop.path, large);
    const seen: number[] = [];
    await writer.apply(request, { onProgress: (readBytes) => seen.push(readBytes) });
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.every((bytes) => bytes > 0 && bytes <= request.blob.lengthBytes)).toBe(true);
  });

  test("stays below 200 MiB, though every header of the layer is as long as it may be", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const pax = { comment: "v".repeat(4 * 2 ** 20 - 30) };
    const heavy = tar(Array.from({ length: 25 }, (_, index) => file(`f${index}`, "", { pax })));
    await apply(writer, await requestFor(directory, loop.path, heavy, "gzip"));
    const [pid = 0] = writerPids();
    const [, peakKib] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
    expect(Number(peakKib)).toBeWithin(1, 200 * 1024);
  });

  test("takes one request at a time", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, loop.path, small);
    const first = writer.apply(request);
    expect(String(await rejection(writer.apply(request)))).toContain("one layer at a time");
    expect(await first).toMatchObject({ entries: 2 });
  });

  test("ends by itself when its stdin ends", async () => {
    const child = Bun.spawn([process.execPath, "workers/writer.ts"], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    await child.stdin.end();
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stdout).text()).toBe('{"type":"ready"}\n');
    expect(await new Response(child.stderr).text()).toBe("");
  });

  test("finishes its layer when its stdin ends, and does not read ahead", async () => {
    await using loop = await device();
    const next = await requestFor(directory, loop.path, large);
    const request = await requestFor(directory, loop.path, small, "gzip");
    const child = Bun.spawn([process.execPath, "workers/writer.ts"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    await child.stdin.write(encodeMessage({ ...request, next }));
    await child.stdin.end();
    expect(await child.exited).toBe(0);
    expect(await new Response(child.stdout).text()).toContain('{"type":"applied"');
    await expectFree(loop.path);
  });

  test("answers nonsense with a failure and goes on", async () => {
    const child = Bun.spawn([process.execPath, "workers/writer.ts"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    await child.stdin.write("nonsense\n{}\n");
    await child.stdin.end();
    expect(await child.exited).toBe(0);
    const lines = (await new Response(child.stdout).text()).trim().split("\n");
    expect(lines.map((line): unknown => (JSON.parse(line) as { type: unknown }).type)).toEqual([
      "ready",
      "failed",
      "failed",
    ]);
  });
});

describe("a writer that dies", () => {
  test("with a device at rest leaves no mount", async () => {
    const marker = join(directory, crypto.randomUUID());
    await writeFile(marker, "");
    await using loop = await device();
    await using writer = startWriter({ environment: environment(`writer.rested@${marker}`) });
    const request = await requestFor(directory, loop.path, small);
    expect(await rejection(writer.apply({ ...request, keepsMount: true }))).toMatchObject({ code: "aborted" });
    expect(existsSync(marker)).toBe(false);
    await expectFree(loop.path);
  });

  const points: readonly FaultPoint[] = ["writer.mounted", "writer.half", "writer.synced", "writer.unmounted"];
  for (const point of points) {
    test(`at ${point} is reported as aborted, leaves no mount, and the next request starts another`, async () => {
      const marker = join(directory, crypto.randomUUID());
      await writeFile(marker, "");
      await using loop = await device();
      await using writer = startWriter({ environment: environment(`${point}@${marker}`) });
      const request = await requestFor(directory, loop.path, small, "zstd");
      const failure = await rejection(writer.apply(request));
      expect(failure).toMatchObject({ code: "aborted" });
      expect(String(failure)).toContain("the writer process was killed by SIGKILL");
      expect(existsSync(marker)).toBe(false);
      await expectFree(loop.path);
      expect(await apply(writer, request)).toMatchObject({ entries: 2 });
    });
  }

  test("between two requests is replaced", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, loop.path, small);
    await apply(writer, request);
    const [pid = 0] = writerPids();
    process.kill(pid, "SIGKILL");
    const failure = await rejection(writer.apply(request));
    if (failure !== "it succeeded") expect(failure).toMatchObject({ code: "aborted" });
    expect(await apply(writer, request)).toMatchObject({ entries: 2 });
  });

  test("with a message has it in the error", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: { ...environment(), SNAPMILL_FAULT: "no such point@x" } });
    const failure = await rejection(writer.apply(await requestFor(directory, loop.path, small)));
    expect(failure).toMatchObject({ code: "aborted" });
    expect(String(failure)).toContain("unknown fault point");
  });
});

describe("a signal", () => {
  test("kills the writer in the middle of a layer; the next request starts another", async () => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, loop.path, large);
    const stop = new AbortController();
    const applying = rejection(writer.apply(request, { signal: stop.signal, onProgress: () => stop.abort() }));
    expect(await applying).toMatchObject({ code: "aborted" });
    expect(writerPids()).toEqual([]);
    await expectFree(loop.path);
    expect(await apply(writer, request)).toMatchObject({ entries: 60 });
  });

  const way = "d/".repeat(50);
  const steps = Array.from({ length: 20_000 }, (_, index) => [
    directoryEntry(`${way}${index}`),
    symlink("l", way),
    whiteout(`l/${index}`),
  ]);
  const records = Object.fromEntries(Array.from({ length: 9_000 }, (_, index) => [`bomb.${index}`, "x".repeat(80)]));
  const extents = Array.from({ length: 90_000 }, (_, index) => ({
    offsetBytes: index * 1024,
    content: Buffer.alloc(512, 1),
  }));
  test.each<[string, () => Buffer]>([
    ["nothing but directories, links and marks", () => tar(steps.flat())],
    ["entries with as many PAX records as they may have", () => tar(Array(60).fill(file("f", "", { pax: records })))],
    ["one sparse file of many extents", () => tar([sparse("f", extents.length * 1024, extents)])],
  ])("ends a layer of %s as soon as any other", async (_title, layer) => {
    await using loop = await device();
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, loop.path, layer(), "zstd");
    const stop = new AbortController();
    const applying = rejection(writer.apply(request, { signal: stop.signal, onProgress: () => stop.abort() }));
    expect(await applying).toMatchObject({ code: "aborted" });
    expect(writerPids()).toEqual([]);
    await expectFree(loop.path);
  });

  test("that has come already starts nothing", async () => {
    await using writer = startWriter({ environment: environment() });
    const request = await requestFor(directory, "/dev/null", small);
    const failure = await rejection(writer.apply(request, { signal: AbortSignal.abort(new Error("enough")) }));
    expect(String(failure)).toContain("enough");
    expect(writerPids()).toEqual([]);
  });
});
