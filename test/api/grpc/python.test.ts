import { expect } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { Place } from "../../supervisor/running-up.ts";
import { testWith } from "../../support/tools.ts";

const root = join(import.meta.dir, "../../..");
const timeoutMs = 120_000;

async function run(argv: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...argv], { cwd, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  return stdout;
}

testWith(
  ["python3-grpc"],
  "a client in Python makes all ten calls",
  async () => {
    using place = new Place();
    const up = place.up();
    await up.ready();
    const descriptors = join(place.directory, "snapshots.pb");
    await run([join(root, "node_modules/.bin/buf"), "build", "-o", descriptors], join(root, "src/api/grpc"));
    const client = join(import.meta.dir, "client.py");
    const seen = JSON.parse(await run(["python3-grpc", client, place.config.grpcAddress ?? "", descriptors], root));

    const fsType = { "containerd.io/snapshot/devmapper/fstype": "ext4" };
    expect(seen).toEqual({
      mounts: [["ext4", expect.any(String), ["rw"]]],
      "same mounts": true,
      "active usage": expect.any(Number),
      "view options": ["ro"],
      updated: { ...fsType, one: "new" },
      stat: ["py/2/layer", "", 3, { ...fsType, one: "new" }],
      times: [expect.any(Number), expect.any(Number)],
      listed: [
        ["py/2/layer", "", 3],
        ["py/3/view", "py/2/layer", 1],
      ],
      "committed usage": expect.any(Number),
      "not found": ["NOT_FOUND", 'snapshot "пусто" does not exist in scope containerd'],
      exists: ["ALREADY_EXISTS", 'snapshot "py/3/view" exists already in scope containerd'],
      "has children": ["FAILED_PRECONDITION", expect.stringContaining("while it has children")],
      "bad filter": ["INVALID_ARGUMENT", expect.stringContaining("at character 1")],
      left: 0,
    });
    expect(seen["active usage"]).toBeGreaterThan(0);
    expect(seen["committed usage"]).toBeGreaterThan(0);
    expect(seen.times[0]).toBeLessThanOrEqual(seen.times[1]);
    expect(Date.now() - seen.times[0]).toBeWithin(0, timeoutMs);

    expect(statSync(place.config.grpcAddress ?? "").isSocket()).toBe(true);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
