// Tests `snapmill sign-in`: a link from the `up` beside it, good once, for who owns its socket, and for nobody else.
import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { childEnvironment, paths } from "../../src/config.ts";
import { RunningApi } from "../api/v1/running-api.ts";

setDefaultTimeout(120_000);

const cli = join(import.meta.dir, "../../src/cli.ts");
const shape = z.strictObject({ address: z.string(), link: z.string(), endsAtMs: z.number() });

const open = async (link: string) => {
  const { status, headers } = await fetch(link, { redirect: "manual", headers: { "sec-fetch-site": "none" } });
  return { status, cookies: headers.getSetCookie() };
};

/** What another user of this host gets from the socket, who got as far as its directory. */
const asAnother = (socket: string) =>
  Bun.spawnSync(
    [
      "setpriv --reuid=65534 --regid=65534 --clear-groups -- curl -s -o /dev/null -w %{http_code} -X POST".split(" "),
      ["--unix-socket", `./${basename(socket)}`, "http://localhost/sign-in-link"],
    ].flat(),
    { cwd: dirname(socket) },
  ).stdout.toString();

test("sign-in prints a link that signs in once, says where the pages are, and stands in the audit log", async () => {
  await using api = await RunningApi.start();
  const { place } = api;
  const { exitCode, stdout, stderr } = await place.run("sign-in");
  expect(exitCode).toBe(0);
  const link = stdout.trim();
  expect(link).toMatch(new RegExp(`^${api.url}/sign-in\\?code=[\\w-]{32}$`));
  expect(stderr).toMatch(
    /^snapmill: signs in once, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; the pages are at http:\S+\/\n$/,
  );
  expect(stderr).toContain(` ${api.url}/\n`);
  expect(await open(link)).toMatchObject({ status: 303, cookies: [expect.stringContaining(".dashboard; ")] });
  expect(await open(link)).toEqual({ status: 401, cookies: [] });

  const beforeMs = Date.now();
  const asJson = shape.parse(JSON.parse((await place.run("sign-in", "--json")).stdout));
  expect(asJson.endsAtMs).toBeGreaterThanOrEqual(beforeMs + 600_000);
  expect(asJson.endsAtMs).toBeLessThanOrEqual(Date.now() + 600_000);
  expect((await open(asJson.link)).status).toBe(303);

  const { body } = await api.ask("/v1/audit?operation=signIn");
  const row = { token: "socket", role: "operate", method: "POST", operation: "signIn", pool: null, code: "ok" };
  expect(body.items).toMatchObject([row, row]);
  expect(JSON.stringify(body)).not.toContain(new URL(link).searchParams.get("code"));

  // Not over the network, whatever the token.
  for (const path of ["/sign-in-link", "/v1/sign-in-link"]) {
    expect(await api.ask(path, { method: "POST" })).toMatchObject({ status: 404 });
  }
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  const env = { ...inherited, SNAPMILL_HOST: api.url, SNAPMILL_TOKEN: api.token };
  const remote = Bun.spawnSync([process.execPath, cli, "sign-in"], { env });
  expect(remote.stderr.toString()).toContain("'snapmill sign-in' works on this machine only");
  expect(remote.stdout.toString()).toBe("");

  // Nor for other users, even where the directory was opened to them.
  const socket = paths.httpSocket(place.config);
  chmodSync(dirname(socket), 0o755);
  expect(asAnother(socket)).toBe("000");
  chmodSync(socket, 0o666);
  expect(asAnother(socket)).toBe("201");

  await api.end();
  expect(await place.run("sign-in")).toMatchObject({
    exitCode: 1,
    stdout: "",
    stderr: `snapmill: no 'snapmill up' runs for ${place.config.stateDir}: start it, and sign in then\n`,
  });
});
