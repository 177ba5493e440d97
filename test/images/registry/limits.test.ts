import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { AbortReason, Canceller } from "../../../src/domain/cancellation.ts";
import { retryAfterMs } from "../../../src/images/registry/failures.ts";
import { Bandwidth } from "../../../src/images/registry/rate.ts";
import { defaultPatience, pauseMs } from "../../../src/images/registry/retry.ts";
import { takeSlot } from "../../../src/images/registry/slots.ts";
import { temporaryDirectory } from "../../support/directories.ts";
import { messageOf } from "./fixture.ts";

test("pauses double from half a second to five, and part of each is chance", () => {
  const pauses = [1, 2, 3, 4, 5, 6].map((failures) => [
    pauseMs(defaultPatience, failures, 0),
    pauseMs(defaultPatience, failures, 1),
  ]);
  expect(pauses).toEqual([
    [500, 500],
    [500, 1000],
    [1000, 2000],
    [2000, 4000],
    [2500, 5000],
    [2500, 5000],
  ]);
});

test("a pause is asked for in seconds or by a date", () => {
  const nowMs = Date.parse("2026-01-01T00:00:00Z");
  const asked = ["7", " 7 ", "Thu, 01 Jan 2026 00:00:09 GMT", "Wed, 31 Dec 2025 00:00:00 GMT", "soon", "-3"];
  expect(asked.map((header) => retryAfterMs(header, nowMs))).toEqual([7000, 7000, 9000, 0, undefined, undefined]);
});

test("slots of a registry are shared by all, and free when their holder ends", async () => {
  await using directory = await temporaryDirectory();
  const take = (host: string, signal?: AbortSignal) => takeSlot(directory.path, host, 2, signal);
  const first = await take("r.example:5000");
  using _second = await take("r.example:5000");
  using _other = await take("other.example");
  const gone = new Canceller();
  const third = take("r.example:5000", gone.signal);
  gone.cancel(new AbortReason("cancelled", "the caller went"));
  expect(await messageOf(third)).toBe("the caller went");
  const fourth = take("r.example:5000");
  first[Symbol.dispose]();
  using _fourth = await fourth;
});

test("bandwidth is shared by all downloads", async () => {
  const bandwidth = new Bandwidth(100_000);
  const sinceMs = performance.now();
  await Promise.all([bandwidth.spend(5000), bandwidth.spend(5000), bandwidth.spend(5000)]);
  expect(performance.now() - sinceMs).toBeGreaterThan(145);
});

const client = `
  const { streamBlob } = await import(process.argv[1]);
  const { repositoryOf, noLimits } = await import(process.argv[2]);
  const [registry, digest, size] = process.argv.slice(3);
  const repository = await repositoryOf({ registry, repository: "a/b", patience: { idleMs: 60000 } });
  const rss = () => process.memoryUsage.rss();
  let bytes = 0;
  let most = 0;
  let before = 0;
  for await (const chunk of streamBlob(repository, { digest, sizeBytes: Number(size) }, noLimits)) {
    if (bytes === 0) before = rss();
    bytes += chunk.length;
    if (bytes > 2 ** 20 && most === 0) {
      for (let look = 0; look < 15; look += 1) {
        await Bun.sleep(100);
        most = Math.max(most, rss());
      }
    }
    most = Math.max(most, rss());
  }
  console.log(JSON.stringify({ bytes, grownBytes: most - before }));
`;

test("a reader that stalls does not make the process hold the blob", async () => {
  const chunk = Buffer.alloc(2 ** 20, 7);
  const sizeBytes = 200 * chunk.length;
  const hasher = new Bun.CryptoHasher("sha256");
  for (let sent = 0; sent < sizeBytes; sent += chunk.length) hasher.update(chunk);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const send = async () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${sizeBytes}\r\n\r\n`);
      for (let sent = 0; sent < sizeBytes && !socket.destroyed; sent += chunk.length) {
        if (!socket.write(chunk)) await once(socket, "drain");
      }
      socket.end();
    };
    socket.once("data", () => void send());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const modules = [join(import.meta.dir, "../../../src/images/registry/blobs.ts"), join(import.meta.dir, "fixture.ts")];
  const blob = [`127.0.0.1:${port}`, `sha256:${hasher.digest("hex")}`, String(sizeBytes)];
  const child = Bun.spawn([process.execPath, "-e", client, ...modules, ...blob], { stderr: "inherit" });
  const { bytes, grownBytes } = JSON.parse(await new Response(child.stdout).text());
  server.close();
  expect(bytes).toBe(sizeBytes);
  expect(grownBytes).toBeLessThan(64 * 2 ** 20);
}, 30_000);
