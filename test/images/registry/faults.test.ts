import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Digest } from "../../../src/domain/identifiers.ts";
import { type BlobLimits, streamBlob } from "../../../src/images/registry/blobs.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";
import { answerWith, cutAt, type Fault, FaultyProxy, writeHead } from "../../support/faulty-proxy.ts";
import { type BuiltLayer, writeLayout } from "../../support/images.ts";
import { Registry, registryPrograms } from "../../support/registry.ts";
import { file } from "../../support/tar-entries.ts";
import { describeWith } from "../../support/tools.ts";
import { until } from "../../support/until.ts";
import { failureOf, noLimits, Progress, readBlob, repositoryOf } from "./fixture.ts";

const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 251));
const blobs = /\/blobs\//;
const listed = (code: string, message: string) => Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
const untilClosed: Fault = (socket) => new Promise((resolve) => socket.once("close", () => resolve()));

describeWith(registryPrograms, "a blob of a registry that stands behind a faulty proxy", () => {
  let directory: TemporaryDirectory;
  let registry: Registry;
  let proxy: FaultyProxy;
  let layer: BuiltLayer;
  let whole: Buffer;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    registry = await Registry.start(join(directory.path, "registry"));
    const layout = await writeLayout(join(directory.path, "layout"), [
      { tag: "v1", image: { layers: [{ content: [file("content", content)], form: "none" }] } },
    ]);
    await registry.push(`oci:${layout.directory}:v1`, "org/app:v1");
    layer = layout.images[0]?.layers[0] as BuiltLayer;
    proxy = await FaultyProxy.start(`http://${registry.host}`);
    whole = await readBlob(await repositoryOf({ registry: registry.host, repository: "org/app" }), wanted());
    expect(whole.length).toBe(layer.blobBytes);
  });
  beforeEach(() => proxy.reset());
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const wanted = () => ({ digest: layer.digest, sizeBytes: layer.blobBytes });
  const withPassword = () =>
    repositoryOf({
      registry: proxy.host,
      repository: "org/app",
      credentials: {
        inline: JSON.stringify({
          auths: {
            "127.0.0.1": { username: "u", password: "other" },
            [proxy.host]: { username: "u", password: "planted" },
          },
        }),
      },
    });
  const read = async (limits?: Partial<BlobLimits>, options?: Parameters<typeof readBlob>[3]) =>
    await readBlob(await repositoryOf({ registry: proxy.host, repository: "org/app" }), wanted(), limits, options);
  const ranges = () => proxy.asked(blobs).map(({ headers }) => headers["range"] ?? "all");
  const isWhole = (bytes: Buffer) => bytes.equals(whole);
  const untilDisconnected = () =>
    until(
      "its connections are closed",
      () => proxy.connections,
      (count) => count === 0,
    );

  test("is read as it is, from its start or from an offset", async () => {
    expect(isWhole(await read())).toBe(true);
    expect((await read({}, { offsetBytes: 70_000 })).equals(whole.subarray(70_000))).toBe(true);
    expect(ranges()).toEqual(["all", "bytes=70000-"]);
  });

  describe("is resumed when it was", () => {
    /** Sends `bytes`, and closes when the reader has come to `atBytes`. */
    const cut = (progress: Progress, bytes: number, atBytes: number) => cutAt(bytes, () => progress.reached(atBytes));

    test("cut", async () => {
      const progress = new Progress();
      proxy
        .plan(blobs, cut(progress, 30_000, 30_000))
        .plan(blobs, cut(progress, 5_000, 35_000))
        .plan(blobs, cutAt(0));
      expect(isWhole(await read({}, { progress }))).toBe(true);
      expect(ranges()).toEqual(["all", "bytes=30000-", "bytes=35000-", "bytes=35000-"]);
    });

    test("cut any number of times, as long as it gets somewhere", async () => {
      const progress = new Progress();
      proxy.plan(blobs, cut(progress, 41_000, 41_000)).plan(blobs, cutAt(0), 2);
      proxy.plan(blobs, cut(progress, 41_000, 82_000)).plan(blobs, cutAt(0), 2);
      expect(isWhole(await read({}, { progress }))).toBe(true);
      expect(ranges().length).toBe(7);
    });

    test("shorter than it should be, without an error of the connection", async () => {
      proxy.plan(blobs, (socket, { body }) => {
        writeHead(socket, 200, {});
        socket.write(body.subarray(0, 40_000));
      });
      expect(isWhole(await read())).toBe(true);
      expect(ranges()).toEqual(["all", "bytes=40000-"]);
    });

    test("silent", async () => {
      proxy.plan(
        blobs,
        cutAt(20_000, () => Promise.withResolvers<void>().promise),
      );
      expect(isWhole(await read())).toBe(true);
      expect(ranges()).toEqual(["all", "bytes=20000-"]);
    });

    test("slower than the minimum rate", async () => {
      proxy.plan(blobs, async (socket, { body }) => {
        writeHead(socket, 200, { "content-length": body.length });
        for (let at = 0; at < body.length && !socket.destroyed; at += 100) {
          socket.write(body.subarray(at, at + 100));
          await Bun.sleep(10);
        }
      });
      expect(isWhole(await read({ minBytesPerSecond: 1_000_000 }))).toBe(true);
      expect(ranges().length).toBe(2);
    });

    test("cut, and what comes again from the start is dropped, once", async () => {
      const progress = new Progress();
      const fromTheStart =
        (bytes: number): Fault =>
        async (socket) => {
          writeHead(socket, 200, { "content-length": whole.length });
          socket.write(whole.subarray(0, bytes));
          await progress.reached(bytes);
        };
      proxy.plan(blobs, cut(progress, 30_000, 30_000)).plan(blobs, fromTheStart(whole.length));
      expect(isWhole(await read({}, { progress }))).toBe(true);

      proxy.reset();
      const second = new Progress();
      proxy.plan(blobs, cut(second, 30_000, 30_000));
      proxy.plan(blobs, async (...sent) => {
        await fromTheStart(50_000)(...sent);
        await second.reached(50_000);
      });
      proxy.plan(blobs, fromTheStart(whole.length));
      const { code, message } = await failureOf(read({}, { progress: second }));
      expect(code).toBe("failed_precondition");
      expect(message).toContain("cannot resume");
      expect(ranges()).toEqual(["all", "bytes=30000-", "bytes=50000-"]);
    });

    test("cut, also when a part comes that was not asked for", async () => {
      const progress = new Progress();
      proxy.plan(blobs, cut(progress, 30_000, 30_000));
      proxy.plan(blobs, answerWith({ headers: { "content-range": "bytes 10-99/100" } }));
      expect(isWhole(await read({}, { progress }))).toBe(true);
      expect(ranges()).toEqual(["all", "bytes=30000-", "bytes=30000-"]);
    });
  });

  describe("is asked for again after", () => {
    const answers: readonly (readonly [title: string, status: number, headers: Record<string, string>])[] = [
      ["500", 500, {}],
      ["503", 503, {}],
      ["429 without Retry-After", 429, {}],
      ["429 with Retry-After", 429, { "retry-after": "1" }],
      ["503 with a date in Retry-After", 503, { "retry-after": new Date(0).toUTCString() }],
      ["a wrong Content-Length", 200, { "content-length": "7" }],
    ];
    test.each(answers)("%s", async (_title, status, headers) => {
      proxy.plan(blobs, answerWith({ status, headers, body: Buffer.from("{}") }));
      expect(isWhole(await read())).toBe(true);
      expect(ranges()).toEqual(["all", "all"]);
    });
  });

  describe("is given up, with all that there is to say in one sentence,", () => {
    async function givenUp(requests: number, code: string, words: RegExp): Promise<void> {
      const failure = await failureOf(read());
      expect(failure.message).toMatch(words);
      expect(failure.message).toContain(`for the blob ${layer.digest} of org/app`);
      expect(failure.message).toStartWith(`${proxy.host} `);
      expect(failure.message).not.toContain("\n");
      expect([failure.code, ranges().length]).toEqual([code, requests]);
      await untilDisconnected();
    }

    test("when it is cut again and again", async () => {
      proxy.plan(blobs, cutAt(100), 99);
      await givenUp(4, "deadline_exceeded", /the connection was cut; gave up after 4 failed attempts$/);
    });
    test("when the registry fails again and again", async () => {
      proxy.plan(blobs, answerWith({ status: 502, body: Buffer.from("<html>oh</html>") }), 99);
      await givenUp(4, "deadline_exceeded", /answered 502 .* of org\/app; gave up after 4 failed attempts$/);
    });
    test("when it asks to wait for too long", async () => {
      const body = listed("TOOMANYREQUESTS", "slow down");
      proxy.plan(blobs, answerWith({ status: 429, headers: { "retry-after": "3600" }, body }), 99);
      await givenUp(1, "deadline_exceeded", /answered 429 .*: TOOMANYREQUESTS: slow down; it asks to wait 3600 s/);
    });
    test("when it asks to wait again and again", async () => {
      proxy.plan(
        blobs,
        answerWith({ status: 503, headers: { "retry-after": "1" }, body: Buffer.from("busy\n  now") }),
        9,
      );
      await givenUp(2, "deadline_exceeded", /answered 503 .*: busy now; it asks to wait 1 s/);
    });
    test("when it trickles again and again, though no minimum rate is asked for", async () => {
      const trickle: Fault = async (socket, { status, headers, body }) => {
        writeHead(socket, status, { ...headers, "content-length": body.length });
        for (let at = 0; at < body.length && !socket.destroyed; at += 1) {
          socket.write(body.subarray(at, at + 1));
          await Bun.sleep(5);
        }
      };
      proxy.plan(blobs, trickle, 99);
      await givenUp(4, "deadline_exceeded", /sends less than the minimum rate .*; gave up after 4 failed attempts$/);
    });
    test("when its content is another", async () => {
      const body = Buffer.from(whole);
      body[77_777] = (body[77_777] ?? 0) ^ 1;
      proxy.plan(blobs, answerWith({ body }), 99);
      await givenUp(1, "failed_precondition", /sent other bytes \(their digest is sha256:[0-9a-f]{64}\)/);
    });
    test("when it grows", async () => {
      proxy.plan(blobs, (socket, { body }) => {
        writeHead(socket, 200, {});
        socket.write(Buffer.concat([body, body]));
      });
      await givenUp(1, "failed_precondition", /sent more than \d+ bytes/);
    });
    test.each([
      [400, "failed_precondition"],
      [401, "failed_precondition"],
      [403, "failed_precondition"],
      [404, "not_found"],
      [410, "not_found"],
    ])("with %p", async (status, code) => {
      proxy.plan(blobs, answerWith({ status, body: listed("DENIED", "not for you") }), 99);
      await givenUp(1, code, new RegExp(`answered ${status} .*: DENIED: not for you$`));
    });
    test("when it redirects to nowhere", async () => {
      proxy.plan(blobs, answerWith({ status: 307, headers: { location: "file:///etc/passwd" }, body: Buffer.of() }));
      await givenUp(1, "failed_precondition", /redirects to file:/);
    });
    test("when it redirects in a circle", async () => {
      const circle: Fault = (socket, _answer, { path }) =>
        writeHead(socket, 302, { location: path, "content-length": 0 });
      proxy.plan(blobs, circle, 99);
      await givenUp(11, "failed_precondition", /redirects more than 10 times/);
    });
  });

  test("is followed to another origin without what is meant for the registry alone", async () => {
    await using elsewhere = await FaultyProxy.start(`http://${registry.host}`);
    const redirect: Fault = (socket, _answer, { path }) =>
      writeHead(socket, 307, { location: `http://${elsewhere.host}${path}`, "content-length": 0 });
    const challenge = { "www-authenticate": 'Basic realm="x"' };
    proxy.plan(blobs, answerWith({ status: 401, headers: challenge, body: Buffer.of() })).plan(blobs, redirect);
    expect(isWhole(await readBlob(await withPassword(), wanted()))).toBe(true);
    const shown = [...proxy.asked(blobs), ...elsewhere.asked(blobs)].map(({ headers }) => headers["authorization"]);
    expect(shown).toEqual([undefined, `Basic ${btoa("u:planted")}`, undefined]);
  });

  test("fails without the secrets that its registry says back", async () => {
    const refusal: Fault = (socket, _answer, { headers }) => {
      const { authorization } = headers;
      const body = listed("DENIED", `you sent ${authorization ?? ""} (planted)`);
      const challenge = { "www-authenticate": 'Basic realm="x"', "content-length": body.length };
      writeHead(socket, authorization === undefined ? 401 : 403, challenge);
      socket.write(body);
    };
    proxy.plan(blobs, refusal, 99);
    const { message } = await failureOf(readBlob(await withPassword(), wanted()));
    expect(message).toContain("you sent Basic [redacted] ([redacted])");
  });

  test("fails without the secrets that its token service says back", async () => {
    const challenge = { "www-authenticate": `Bearer realm="http://${proxy.host}/token"` };
    const sayBack: Fault = (socket, _answer, { headers }) => {
      const body = listed("DENIED", `you sent ${headers["authorization"] ?? ""}`);
      writeHead(socket, 403, { "content-length": body.length });
      socket.write(body);
    };
    proxy.plan(blobs, answerWith({ status: 401, headers: challenge, body: Buffer.of() })).plan(/^\/token/, sayBack);
    const { message } = await failureOf(readBlob(await withPassword(), wanted()));
    expect(message).toContain("you sent Basic [redacted]");
  });

  test.each([
    ["a pause", answerWith({ status: 503, headers: { "retry-after": "1" } })],
    ["silence", untilClosed],
  ])("is closed when its reader is cancelled in the middle of %s", async (_title, fault) => {
    proxy.plan(blobs, fault, 99);
    const cancel = new AbortController();
    const patience = { idleMs: 60_000 };
    const options = { registry: proxy.host, repository: "org/app", signal: cancel.signal, patience };
    const reading = failureOf(readBlob(await repositoryOf(options), wanted()));
    await until("it was asked", () => proxy.requests.length);
    cancel.abort(new Error("the caller went"));
    expect((await reading).message).toBe("the caller went");
    await untilDisconnected();
  });

  test("is closed and frees its slot when its reader stops", async () => {
    let taken = 0;
    const slot = () => {
      taken += 1;
      const free = () => {
        taken -= 1;
      };
      return Promise.resolve({ [Symbol.dispose]: free });
    };
    const blob = { ...wanted(), digest: layer.digest as Digest };
    const repository = await repositoryOf({ registry: proxy.host, repository: "org/app" });
    for await (const _chunk of streamBlob(repository, blob, { ...noLimits, slot })) {
      expect(taken).toBe(1);
      break;
    }
    expect(taken).toBe(0);
    await untilDisconnected();
  });
});
