import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAudit } from "../../src/metadata/audit.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { serviceSchema } from "../../src/metadata/migrations.ts";
import { type AskedChange, AuditLog } from "../../src/service/audit-log.ts";
import { auditedRequest, auditedText } from "../../src/service/audited-request.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { testWith } from "../support/tools.ts";
import { until } from "../support/until.ts";

let directory = "";
let path = "";
let troubles: string[] = [];
let log: AuditLog;
const open = () => new AuditLog(path, (sentence) => troubles.push(sentence));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-audit-"));
  path = join(directory, "service.db");
  troubles = [];
  log = open();
});
afterEach(() => {
  log[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const asked: AskedChange = {
  caller: { tokenName: "ci", role: "operate" },
  requestId: "request-1",
  method: "POST",
  path: "/v1/pools/default/snapshots/a/prepare",
  operation: "prepare",
  pool: "default",
  reason: "nightly build",
  given: { key: "a", labels: {} },
  operationId: "op-12345678",
};
const rows = (limit = 1000) => readAudit(log.database(), {}, Number.MAX_SAFE_INTEGER, limit);

describe("a change", () => {
  test("is there as begun before it is made, for another process too, and has its result afterwards", () => {
    const entry = log.begin(asked);
    {
      using other = openDatabase(path, { mode: "readonly", schema: serviceSchema });
      expect(readAudit(other, { code: "begun" }, 9, 9)).toMatchObject([
        { tokenName: "ci", role: "operate", operation: "prepare", pool: "default", reason: "nightly build" },
      ]);
    }
    entry.end({ code: "ok", status: 200 });
    entry.end({ code: "internal", status: 500 });
    expect(rows()).toMatchObject([{ number: 1, code: "ok", status: 200, operationId: "op-12345678" }]);
    expect(JSON.parse(rows()[0]?.request ?? "")).toEqual({ key: "a", labels: {} });
  });

  test("that is refused is one row, with the reason's code", () => {
    log.refuse({ ...asked, given: undefined, operationId: undefined }, { code: "permission_denied", status: 403 });
    expect(rows()).toMatchObject([{ code: "permission_denied", status: 403, request: null, operationId: null }]);
  });

  test("whose process dies in the middle stays as begun", async () => {
    const program = `
      import { AuditLog } from "${join(import.meta.dir, "../../src/service/audit-log.ts")}";
      new AuditLog(${JSON.stringify(path)}, console.error).begin(${JSON.stringify(asked)});
      process.kill(process.pid, "SIGKILL");`;
    const file = join(directory, "dies.ts");
    writeFileSync(file, program);
    expect(await Bun.spawn([process.execPath, file]).exited).toBe(137);
    expect(rows()).toMatchObject([{ requestId: "request-1", code: null, status: null, endedAtMs: null }]);
  });
});

describe("rows", () => {
  test("are dropped when they are old, in steps; younger ones stay", async () => {
    log.refuse(asked, { code: "aborted", status: 409 });
    const { drizzle } = log.database();
    drizzle.run(`INSERT INTO audit (at_ms, request_id, token_name, role, method, path)
      WITH RECURSIVE counted(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM counted WHERE n < 1200)
      SELECT at_ms, request_id, token_name, role, method, path FROM audit, counted`);
    drizzle.run("UPDATE audit SET at_ms = 1000 WHERE number <= 1100");
    await log.prune({ sinceMs: 1001, rows: 5000 });
    expect(rows(9999).map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, index) => 1200 - index));
    expect(troubles).toEqual([]);
  });

  test("are dropped when they are too many, the oldest first", async () => {
    for (let index = 0; index < 30; index += 1) log.refuse(asked, { code: "aborted", status: 409 });
    await log.prune({ sinceMs: 0, rows: 10 });
    expect(rows().map(({ number }) => number)).toEqual([30, 29, 28, 27, 26, 25, 24, 23, 22, 21]);
    await log.prune({ sinceMs: Date.now() + 1000, rows: 10 });
    expect(rows()).toEqual([]);
    log.refuse(asked, { code: "aborted", status: 409 });
    expect(rows()).toMatchObject([{ number: 31 }]);
  });

  test("are found by each filter, the newest first", () => {
    log.refuse(asked, { code: "aborted", status: 409 });
    log.refuse({ ...asked, pool: "fast", operation: "commit" }, { code: "ok", status: 200 });
    log.refuse(
      { ...asked, caller: { tokenName: "x", role: "read" }, operationId: "op-other-1" },
      { code: "forbidden", status: 403 },
    );
    const numbers = (filter: Parameters<typeof readAudit>[1]) =>
      readAudit(log.database(), filter, 99, 99).map(({ number }) => number);
    expect(numbers({})).toEqual([3, 2, 1]);
    expect(numbers({ token: "x" })).toEqual([3]);
    expect(numbers({ pool: "default" })).toEqual([3, 1]);
    expect(numbers({ operation: "commit" })).toEqual([2]);
    expect(numbers({ code: "aborted" })).toEqual([1]);
    expect(numbers({ operationId: "op-other-1" })).toEqual([3]);
    expect(numbers({ sinceMs: Date.now() + 1000 })).toEqual([]);
    expect(numbers({ untilMs: Date.now() + 1000, token: "ci" })).toEqual([2, 1]);
    expect(readAudit(log.database(), {}, 3, 1)).toMatchObject([{ number: 2 }]);
  });
});

test("a database that cannot be opened refuses changes, and tells of it; the next try opens it when it can be", async () => {
  log[Symbol.dispose]();
  rmSync(path, { force: true });
  writeFileSync(path, "this is no database, but long enough to be looked at as one ".repeat(20));
  log = open();
  expect(() => log.begin(asked)).toThrow("changes over HTTP are refused: they cannot be recorded");
  expect(() => log.refuse(asked, { code: "aborted", status: 409 })).not.toThrow();
  expect(troubles.join("\n")).toContain(`${path} is damaged`);
  rmSync(path, { force: true });
  log.begin(asked).end({ code: "ok", status: 200 });
  expect(rows()).toHaveLength(1);
});

test("a database that is moved away, or another one in its place, has changes refused until it is back", () => {
  const begun = log.begin(asked);
  const aside = `${path}.aside`;
  const refused = () => {
    expect(() => log.begin(asked)).toThrow(`${path} was removed or replaced while snapmill runs: restart snapmill`);
    expect(log.trouble()).toContain("restart snapmill");
  };
  expect(log.trouble()).toBeNull();
  renameSync(path, aside);
  refused();
  writeFileSync(path, "");
  refused();
  begun.end({ code: "ok", status: 200 });
  expect(troubles.at(-1)).toContain("a change stays in the audit log as begun");
  renameSync(aside, path);
  expect(log.trouble()).toBeNull();
  log.begin(asked).end({ code: "ok", status: 200 });
  expect(rows().map(({ code }) => code)).toEqual(["ok", null]);
});

testWith(
  ["mkfs.ext4", "mount"],
  "on a full disk changes are refused and reads go on, until there is room",
  async () => {
    log[Symbol.dispose]();
    const image = join(directory, "disk.img");
    const disk = join(directory, "disk");
    await runCommand("truncate", ["--size", "8M", image]);
    await runCommand("mkfs.ext4", ["-q", image]);
    mkdirSync(disk);
    await runCommand("mount", ["-o", "loop", image, disk]);
    try {
      path = join(disk, "service.db");
      log = open();
      log.begin(asked).end({ code: "ok", status: 200 });
      const begun = log.begin(asked);
      Bun.spawnSync(["dd", "if=/dev/zero", `of=${join(disk, "filler")}`, "bs=4k"]);
      const refused = () => {
        try {
          for (let index = 0; index < 200; index += 1) log.begin(asked);
        } catch (error) {
          return String(error);
        }
        return "all were written";
      };
      expect(refused()).toContain("database or disk is full");
      begun.end({ code: "ok", status: 200 });
      expect(rows(1)).toHaveLength(1);
      rmSync(join(disk, "filler"));
      log.begin(asked).end({ code: "ok", status: 200 });
      expect(rows(1)).toMatchObject([{ code: "ok" }]);
    } finally {
      log[Symbol.dispose]();
      await until("the disk is released", () => Bun.spawnSync(["umount", disk]).exitCode === 0);
    }
  },
);

describe("of a request", () => {
  test("paths of files with credentials are kept, credentials are not", () => {
    const given = {
      authFile: "/etc/snapmill/auth.json",
      registry: { password: "planted-1", nested: [{ apiToken: "planted-2" }] },
      Authorization: "planted-3",
      image: "https://user:planted-4@registry.example/app",
    };
    const kept = auditedRequest(given);
    expect(kept).not.toContain("planted");
    expect(JSON.parse(kept)).toMatchObject({
      authFile: "/etc/snapmill/auth.json",
      image: "https://[not recorded]@registry.example/app",
    });
  });

  test.each<[string, unknown]>([
    ["a long text", { text: "x".repeat(2 ** 20) }],
    [
      "many fields",
      Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`field${index}`, "y".repeat(400)])),
    ],
    ["many items", { items: Array.from({ length: 10_000 }, () => "z".repeat(400)) }],
    ["depth", JSON.parse(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`)],
    ["nothing at all", undefined],
  ])("%s is cut to what fits, and stays JSON", (_what, given) => {
    const kept = auditedRequest(given);
    expect(kept.length).toBeLessThanOrEqual(4096);
    expect(() => JSON.parse(kept) as unknown).not.toThrow();
  });

  test("a reference with a digest is kept whole", () => {
    const reference = `docker://registry.example/app@sha256:${"0".repeat(64)}`;
    expect(auditedText(reference)).toBe(reference);
  });
});
