// Room: bench. Owns snapmill as it is compared: an 'up' with its default settings, and the command as a user types it.
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readConfig, redisUrl } from "../../src/config.ts";
import { writeImage } from "../../test/support/images.ts";
import { file } from "../../test/support/tar-entries.ts";
import { phasesOf } from "../account.ts";
import { MeasuredUp } from "../http-server.ts";
import { runTool, type Tools, type Way } from "./way.ts";

const program = join(import.meta.dir, "../../snapmill");

/** `settings`: what differs between the ways: driver, sizes. */
export const snapmill = (tools: Tools, name: string, settings: Readonly<Record<string, string>>): Way => ({
  name,
  open: async (directory, { layout, images }) => {
    await using scope = new AsyncDisposableStack();
    // A short name: sockets lie below it.
    const runDir = mkdtempSync("/run/snapmill-bench-");
    scope.defer(() => rmSync(runDir, { recursive: true, force: true }));
    const own = {
      SNAPMILL_STATE_DIR: join(directory, "state"),
      SNAPMILL_RUN_DIR: runDir,
      SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
      SNAPMILL_LOG_LEVEL: "warn",
      ...settings,
    };
    const config = readConfig({}, own);
    const environment = { ...tools.environment, ...own };
    const run = (...args: string[]) => runTool({ ...tools, environment }, program, ...args);
    scope.use(await MeasuredUp.start(config, own, tools.signal));
    // The pool makes its template of a file system for the first snapshot, and once.
    const tiny = await writeImage(join(directory, "tiny"), [{ content: [file("tiny", "x")] }]);
    await run("unpack", tiny.reference);
    const references = images.map(({ tag }) => `oci:${layout}:${tag}`);
    const [only = "", ...others] = references;
    const list = join(directory, "list");
    await Bun.write(list, `${references.join("\n")}\n`);
    const held = scope.move();
    return {
      unpack: async () => {
        await (others.length === 0 ? run("unpack", only) : run("unpack", "--from", list));
      },
      written: [directory],
      account: async () => ({ stages: await phasesOf(redisUrl(config), config.pool, images.length) }),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  },
});
