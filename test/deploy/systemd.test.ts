// Room: test. Owns the unit for systemd, as systemd itself reads it.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory } from "../support/directories.ts";

const unit = join(import.meta.dir, "../../deploy/systemd/snapmill.service");

function analyze(...args: readonly string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", "--no-pager", ...args]);
  return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** The unit in a directory of its own, changed by `change`, with a program that is there. */
async function verified(change: (text: string) => string) {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "snapmill.service");
  const text = await Bun.file(unit).text();
  expect(text).toContain("ExecStart=/usr/local/bin/snapmill up");
  await Bun.write(path, change(text.replace("/usr/local/bin/snapmill", "/bin/true")));
  // Its man page is not installed here.
  return analyze("verify", "--man=no", path);
}

test("systemd finds no fault with it", async () => {
  expect(await verified((text) => text)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  // It says what it does not know, and goes on.
  expect((await verified((text) => text.replace("KillMode=", "KilMode="))).stderr).toContain("Unknown key");
});

test("it is exposed no more than mounts and devices need", () => {
  const { exitCode, stdout } = analyze("security", "--offline=true", "--threshold=55", unit);
  expect(stdout).toContain("Overall exposure level for snapmill.service: 5.5 MEDIUM");
  expect(exitCode).toBe(0);
  expect(analyze("security", "--offline=true", "--threshold=54", unit).exitCode).not.toBe(0);
});
