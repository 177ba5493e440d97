// Room: test. Specifies `snapmill checkpoint`, as a user works with it: on a snapshot that is mounted, and by HTTP.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { CliFixture } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const fixture = new CliFixture();
const { snapmill } = fixture;
const dir = join(snapmill.directory, "mnt");
afterAll(() => fixture[Symbol.asyncDispose]());

test("keeps what a mounted snapshot holds now; what is written later is in the next one", async () => {
  await fixture.up();
  mkdirSync(dir);
  await fixture.stdout("prepare", "build");
  await fixture.stdout("mount", "build", dir);
  writeFileSync(join(dir, "first"), "1");
  await fixture.stdout("checkpoint", "one", "build", "--label", "by=hand");
  writeFileSync(join(dir, "second"), "2");
  const asked = await fetch("http://localhost/v1/pools/default/snapshots/build/checkpoint", {
    unix: paths.httpSocket(snapmill.config),
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "two" }),
  });
  expect({ status: asked.status, body: await asked.json() }).toEqual({ status: 200, body: {} });
  await fixture.stdout("umount", dir);

  const found = await fixture.json("ls");
  expect(found.map(({ key, kind, parent }) => ({ key, kind, parent }))).toEqual([
    { key: "build", kind: "active", parent: "two" },
    { key: "one", kind: "committed", parent: null },
    { key: "two", kind: "committed", parent: "one" },
  ]);
  expect(found[1]?.labels).toMatchObject({ by: "hand" });
  await fixture.stdout("mount", "one", dir);
  expect([readFileSync(join(dir, "first"), "utf8"), existsSync(join(dir, "second"))]).toEqual(["1", false]);
  await fixture.stdout("umount", dir);
  await fixture.stdout("mount", "two", dir);
  expect(readFileSync(join(dir, "second"), "utf8")).toBe("2");
  await fixture.stdout("umount", dir);
});

test("refuses a name that is taken, and what is not active, and changes nothing", async () => {
  const before = await fixture.json("ls");
  expect(await fixture.failure(1, "checkpoint", "one", "build")).toContain('"one" exists');
  expect(await fixture.failure(1, "checkpoint", "three", "two")).toContain('"two" is committed');
  expect(await fixture.json("ls")).toEqual(before);
  await fixture.stdout("rm", "build", "two", "one");
  await fixture.stdout("cleanup");
});
