// Tests Ctrl-C while another host is asked something and does not answer: the command ends at once.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { serve } from "../client/serve.ts";
import { until } from "../support/until.ts";

const cli = join(import.meta.dir, "../../src/cli.ts");
const away = { type: "x:unavailable", detail: "away", code: "unavailable", wayOut: "wait", title: "x", status: 503 };

/** Both have the command ask again later: one by its silence, the other by its request for a pause. */
const servers = {
  silent: () => new Promise<Response>(() => undefined),
  "out of service": () =>
    new Response(JSON.stringify(away), {
      status: 503,
      headers: { "content-type": "application/problem+json", "retry-after": "9" },
    }),
};

const commands = [
  ["unpack", "oci:/images/app:v1"],
  ["unpack", "--dry-run", "oci:/images/app:v1"],
  ["unpack", "--detach", "oci:/images/app:v1"],
  ["rm", "sha256:ab12cd34"],
  ["drain"],
  ["images", "prune"],
];

test.each(Object.keys(servers).flatMap((server) => commands.map((command) => [server, command.join(" ")] as const)))(
  "where the host is %s, Ctrl-C ends '%s'",
  async (name, command) => {
    await using server = serve(servers[name as keyof typeof servers]);
    const { REDIS_URL: _redis, SNAPMILL_STATE_DIR: _state, ...inherited } = childEnvironment({});
    const child = Bun.spawn([process.execPath, cli, ...command.split(" ")], {
      env: { ...inherited, SNAPMILL_HOST: server.host, SNAPMILL_TOKEN: "secret" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    await until(
      "the first request",
      () => server.asked.length,
      (asked) => asked > 0,
      30_000,
    );
    child.kill("SIGINT");
    const endedInTime = await Promise.race([child.exited, Bun.sleep(7_000)]);
    child.kill("SIGKILL");
    expect(endedInTime).toBe(130);
    expect(await new Response(child.stderr).text()).toBe("snapmill: interrupted by SIGINT\n");
  },
  60_000,
);
