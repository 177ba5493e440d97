// Room: test. Owns the file of settings: what is taken from it, and everything that can be wrong with it.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nearest } from "../../src/config/suggestions.ts";
import { type Config, type Overrides, readConfig, readServed, readServedAgain } from "../../src/config.ts";

const directory = mkdtempSync(join(tmpdir(), "snapmill-config-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, "config.toml");

function written(...lines: readonly string[]): Record<string, string> {
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return { SNAPMILL_CONFIG: path };
}

const read = (lines: readonly string[], overrides: Overrides = {}, more: Record<string, string> = {}): Config =>
  readConfig(overrides, { ...written(...lines), ...more });

/** The sentences of the error, without the path of the file. */
function faultsOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    const { message } = error as Error;
    expect(message).toStartWith("configuration: ");
    return message
      .replace("configuration: ", "")
      .replaceAll(path, "FILE")
      .split("; FILE")
      .map((part) => part.replace(/^:/, "FILE:"));
  }
  throw new Error("nothing was wrong");
}

describe("a file", () => {
  test("sets what neither a flag nor the environment sets", () => {
    const lines = ['log-level = "debug"', 'min-free = "20%"', 'size = "4GiB"', "unpack-workers = 7"];
    const config = read(
      lines,
      { SNAPMILL_POOL_SIZE: "1GiB" },
      { SNAPMILL_UNPACK_WORKERS: "3", SNAPMILL_MIN_FREE: "30%" },
    );
    expect(config).toMatchObject({ logLevel: "debug", minFreeShare: 0.3, poolSizeBytes: 2 ** 30, unpackWorkers: 3 });
    expect(config.configFile).toBe(path);
  });

  test("has every form of value, and tables in every notation", () => {
    const config = read([
      'registry = { connections = 2, blob-cache = "0" }',
      'fs-options = ["-i", "8192"]',
      "discard-blocks = true",
      'http.names = ["One.example", "two.example"]',
      'redis-url = "redis://h:1"',
      "[pools.a]",
      'device-size = "1GiB"',
    ]);
    expect(config).toMatchObject({
      registryConnections: 2,
      blobCacheBytes: 0,
      fsOptions: ["-i", "8192"],
      discardBlocks: true,
      httpNames: ["one.example", "two.example"],
      redisUrl: "redis://h:1",
      pool: "a",
      deviceSizeBytes: 2 ** 30,
    });
  });

  test("gives each pool what its table says, and otherwise what the top says", () => {
    const environment = written(
      'size = "4GiB"',
      'min-free = "20%"',
      "[pools.fast]",
      'driver = "devmapper"',
      'size = "8GiB"',
      "[pools.bulk]",
      'grpc-address = ""',
    );
    const served = readServed({}, environment);
    expect(
      served.map(({ pool, driver, poolSizeBytes, minFreeShare }) => ({ pool, driver, poolSizeBytes, minFreeShare })),
    ).toEqual([
      { pool: served[0]?.pool, driver: "devmapper", poolSizeBytes: 8 * 2 ** 30, minFreeShare: 0.2 },
      { pool: served[1]?.pool, driver: "auto", poolSizeBytes: 4 * 2 ** 30, minFreeShare: 0.2 },
    ] as never);
    expect(served.map(({ pool }) => String(pool))).toEqual(["fast", "bulk"]);
    expect(served.map(({ grpcAddress }) => grpcAddress)).toEqual(["/var/lib/snapmill/containerd-fast.sock", undefined]);
    expect(String(readConfig({}, environment).pool)).toBe("fast");
    expect(readConfig({}, { ...environment, SNAPMILL_POOL: "bulk" }).poolSizeBytes).toBe(4 * 2 ** 30);
    // A variable says which pool commands mean; a flag also which one `up` serves.
    expect(readServed({}, { ...environment, SNAPMILL_POOL: "bulk" })).toHaveLength(2);
    expect(readServed({ SNAPMILL_POOL: "bulk" }, environment).map(({ pool }) => String(pool))).toEqual(["bulk"]);
  });

  test("is not read where an empty name is given, and not needed", () => {
    expect(readConfig({}, { SNAPMILL_CONFIG: "" }).configFile).toBeUndefined();
    expect(String(readServed({}, { SNAPMILL_CONFIG: "" })[0]?.pool)).toBe("default");
  });

  test("can name the one pool that is served", () => {
    expect(readServed({}, written('pool = "mine"')).map(({ pool }) => String(pool))).toEqual(["mine"]);
  });
});

describe("a wrong file", () => {
  test("is told of with all that is wrong, each with its line and the way out", () => {
    const environment = written(
      'log-levle = "debug"',
      "min-free = 10",
      'size = "a lot"',
      'driver = "zfs"',
      "SNAPMILL_RUN_DIR = '/x'",
      "[http]",
      "adress = '127.0.0.1:1'",
      "state-dir = '/y'",
      "[htpt]",
      "address = 'x'",
      "[pools.fast]",
      "unpack-workers = 1000",
      "registry.connections = 3",
      "[pools.'a b']",
      "[[pools.list]]",
      "[anything-else-that-is-there]",
      "entirely-different = 1",
    );
    expect(faultsOf(() => readConfig({}, environment))).toEqual([
      "FILE:1: log-levle: there is no such setting: did you mean log-level?",
      'FILE:2: min-free: must be a percentage below 100, such as "10%", in quotes',
      'FILE:3: size: size "a lot" is not valid: write it like 20GiB, 512MiB or 1073741824',
      'FILE:4: driver: "zfs" is not one of "auto", "reflink", "devmapper"',
      "FILE:5: SNAPMILL_RUN_DIR: there is no such setting: did you mean run-dir?",
      "FILE:7: http.adress: there is no such setting: did you mean http.address?",
      "FILE:8: http.state-dir: there is no such setting: state-dir belongs above the first table of the file",
      "FILE:9: [htpt]: there is no such table: did you mean [http]?",
      'FILE:12: unpack-workers: "1000" is not a whole number from 1 to 64',
      "FILE:13: registry.connections: is for the whole machine: move it above the first table of the file",
      `FILE:14: pool name "a b" is not valid: use 1 to 48 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends`,
      "FILE:15: [[pools.list]]: write a table in single brackets, [pools.list], and only once",
      expect.stringMatching(
        /^FILE:16: \[anything-else-that-is-there\]: there is no such table: there are \[pools.NAME\], \[http\]/,
      ),
    ]);
  });

  test.each(["nonsense", "127.0.0.1:70700", ""])(
    "with the HTTP address %j is refused before 'up' would be",
    (address) => {
      const [fault = "", ...others] = faultsOf(() => read(["[http]", `address = "${address}"`]));
      expect(others).toEqual([]);
      expect(fault).toMatch(/^FILE:2: http.address: HTTP address ".*" is not valid: use HOST:PORT/);
    },
  );

  test.each([
    ["log-level = 'info'\nlog-level = 'warn'", "FILE:2:1: log-level is set a second time: remove one of the two"],
    ["[http]\n[http]", "FILE:2:2: http is set a second time: remove one of the two"],
    ["size = ", 'FILE:2:1: unspecified values are invalid; write settings as key = "text", key = 4 or key = true'],
    ["size = 20GiB", /^FILE:1:\d+: .*write settings as key = "text"/],
    ["size = '20GiB", /^FILE:1:\d+: unterminated string constant/],
    ["= 4", /^FILE:1:\d+: /],
  ])("says where %j is no TOML", (text, expected) => {
    const [fault = "", ...others] = faultsOf(() => read([text]));
    expect(others).toEqual([]);
    if (typeof expected === "string") expect(fault).toBe(expected);
    else expect(fault).toMatch(expected);
  });

  test("that others can write to, that is not there, or is none, is refused", () => {
    const environment = written("");
    chmodSync(path, 0o666);
    expect(faultsOf(() => readConfig({}, environment))).toEqual(["FILE: other users can write to it: chmod go-w FILE"]);
    const named = (name: string) => () => readConfig({}, { SNAPMILL_CONFIG: name });
    expect(named(join(directory, "none"))).toThrow("/none: there is no such file");
    expect(named(directory)).toThrow("is not a regular file");
    writeFileSync(path, Buffer.from([0xff, 0xfe]));
    chmodSync(path, 0o600);
    expect(named(path)).toThrow("is not UTF-8 text");
  });

  test("never shows a password", () => {
    const text = (action: () => unknown) => faultsOf(action).join("\n");
    expect(text(() => read(['redis-url = "redis://me:hunter2@[h"']))).not.toContain("hunter2");
    expect(text(() => read(['redis-url = "http://me:hunter2@h"']))).not.toContain("hunter2");
    expect(text(() => read(['redis-url = ["redis://me:hunter2@h"]']))).not.toContain("hunter2");
    expect(text(() => read(['redis-url = "redis://me:hunter2@h']))).not.toContain("hunter2");
    expect(
      text(() => read(['redis-url = "redis://me:hunter2@h"', 'redis-url = "redis://me:hunter2@h"'])),
    ).not.toContain("hunter2");
    expect(text(() => readConfig({}, { REDIS_URL: "http://me:hunter2@h" }))).not.toContain("hunter2");
  });

  test("a pool that a flag of up names without a table in the file is refused, and may be meant by other commands", () => {
    const environment = written("[pools.one]", "[pools.two]");
    const flags = { SNAPMILL_POOL: "tow" };
    expect(() => readServed(flags, environment)).toThrow(
      /--pool tow: there is no table \[pools\.tow\] in .*: add it, or name one of one, two/,
    );
    expect(readServedAgain([flags], environment)).toMatchObject({ kind: "wrong", faults: [expect.any(String)] });
    expect(readConfig(flags, environment).pool as string).toBe("tow");
    expect(readServed({ SNAPMILL_POOL: "two" }, environment).map(({ pool }) => pool as string)).toEqual(["two"]);
    expect(readServed(flags, written('size = "1GiB"')).map(({ pool }) => pool as string)).toEqual(["tow"]);
  });

  test("is told of together with what is wrong in the environment, and with contradictions", () => {
    const environment = { ...written("size = 4"), SNAPMILL_LOG_LEVEL: "loud" };
    expect(() => readConfig({}, environment)).toThrow(
      /size: must be a size.*; SNAPMILL_LOG_LEVEL: "loud" is not one of/,
    );
    expect(faultsOf(() => read(["[pools.a]", 'device-size = "2TiB"']))).toEqual([
      "FILE:2: device-size: more than max-device-size (1TiB by default)",
    ]);
    expect(faultsOf(() => read(["[http]", 'key = "/etc/key.pem"']))).toEqual([
      "FILE:2: http.key: HTTPS needs a certificate and its key: set http.certificate as well",
    ]);
    expect(() => readConfig({}, { SNAPMILL_CONFIG: "", SNAPMILL_HTTP_CERT: "/etc/cert.pem" })).toThrow(
      "SNAPMILL_HTTP_CERT: HTTPS needs a certificate and its key: set SNAPMILL_HTTP_KEY as well",
    );
    const same = ["[pools.a]", 'grpc-address = "/x"', "[pools.b]", 'grpc-address = "/x"'];
    expect(() => read(same)).toThrow("pools a and b have the same containerd socket /x: set grpc-address in each");
    expect(faultsOf(() => read(['pool = "c"', "[pools.a]"]))).toEqual([
      "FILE:1: pool: there is no table [pools.c]: add it, or name one of a",
    ]);
  });
});

test("a key that is not known is compared with those that are", () => {
  const known = ["log-level", "state-dir", "size"];
  expect(["log-leve", "loglevel", "statedir", "sizes"].map((key) => nearest(key, known))).toEqual([
    "log-level",
    "log-level",
    "state-dir",
    "size",
  ]);
  expect(nearest("colour", known)).toBeUndefined();
});
