// Room: test. Owns the unit for systemd, as systemd itself reads it.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { Place } from "../supervisor/running-up.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { writeModelledImage } from "../support/small-image.ts";
import { blockDevice, directory, file } from "../support/tar-entries.ts";

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

test("what it may do is enough to unpack files of any owner, mode, attribute and type", async () => {
  const sets = (await Bun.file(unit).text()).matchAll(/^CapabilityBoundingSet=(.*)$/gm);
  const capabilities = [...sets].flatMap(([, set = ""]) => set.split(" "));
  expect(capabilities).toContain("CAP_SYS_ADMIN");
  const bounds = capabilities.map((name) => `+${name.slice("CAP_".length).toLowerCase()}`);
  using place = new Place({ SNAPMILL_CONFIG: "" });
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  const image = await writeModelledImage(join(place.directory, "image"), [
    {
      form: "none",
      entries: [
        directory("bin", { uid: 12, gid: 13, mode: 0o2750 }),
        file("bin/ping", "ping", { uid: 1, mode: 0o4755, xattrs: { "security.capability": capability } }),
        blockDevice("disk", 8, 1),
      ],
    },
  ]);
  // Without `up`, the command starts the same processes.
  const limited = ["setpriv", "--no-new-privs", "--bounding-set", ["-all", ...bounds].join(","), "--"];
  const program = [process.execPath, join(import.meta.dir, "../../src/cli.ts"), "unpack", image.reference];
  const unpack = Bun.spawnSync([...limited, ...program], { env: { ...childEnvironment({}), ...place.settings } });
  expect(unpack.stderr.toString()).not.toContain("EPERM");
  expect(unpack.exitCode).toBe(0);
  expect((await place.run("doctor")).exitCode).toBe(0);
}, 120_000);
