// Tests reloads that end with every setting as before, those of HTTP and its certificate, and signals in the midst of one.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { makeCertificates } from "../support/certificates.ts";
import { letGoOfOthers } from "../support/namespaces.ts";
import { until } from "../support/until.ts";
import { type Place, PlaceWithFile, Up, untilHealthy, urlIn } from "./running-up.ts";

setDefaultTimeout(60_000);

const workersIn = (place: Place, name: string): number[] => place.pidsOf(`workers/${name}.ts`);
const setIn = (pid: number | undefined, variable: string): string | undefined =>
  new RegExp(`(?:^|\0)${variable}=([^\0]*)`).exec(readFileSync(`/proc/${String(pid)}/environ`, "utf8"))?.[1];

async function reload(up: Up, text: string): Promise<void> {
  process.kill(up.pid, "SIGHUP");
  await up.says(text);
}

/** An `up` that cannot load ISA-L, so that `inflate = "isal"` is right in a file, and no unpack worker can run with it. */
function upWithoutIsal(place: Place): Up {
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  const root = join(import.meta.dir, "../..");
  const script = `${letGoOfOthers(place.directory)}
    for file in /usr/lib/*/libisal.so.2 "$0"/.tools/tree/usr/lib/*/libisal.so.2; do
      [ ! -e "$file" ] || mount --bind /dev/null "$file"
    done
    exec "$1" "$0/src/main.ts"`;
  const command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, root, process.execPath];
  return new Up(
    Bun.spawn(command, { env: { ...inherited, ...place.settings }, stdin: "ignore", stdout: "pipe", stderr: "pipe" }),
  );
}

test("where one worker cannot run with the new settings, all go back: the file's, up's own, every worker's", async () => {
  using place = new PlaceWithFile(() => ['min-free = "10%"']);
  await using up = upWithoutIsal(place);
  const url = urlIn(await up.ready());
  const statusTo = async (host: string) => (await fetch(`${url}/healthz`, { headers: { host } })).status;
  const wrong = ['min-free = "7%"', 'inflate = "isal"', 'log-level = "error"', "[http]", 'names = ["mill.example"]'];
  place.write(...wrong);
  await reload(up, "configuration: taken back, every setting is as before");
  await up.says("SNAPMILL_INFLATE=isal: ");
  for (const line of ["1: min-free", "2: inflate", "3: log-level", "5: http.names"]) {
    await up.says(`${place.file}:${line}`);
  }
  expect(await statusTo("mill.example")).toBe(421);
  await untilHealthy(url);
  expect(setIn(workersIn(place, "pool")[0], "SNAPMILL_MIN_FREE")).toBe("10%");
  expect(setIn(workersIn(place, "unpack")[0], "SNAPMILL_INFLATE")).toBe("auto");
  expect((await place.run("prepare", "x")).exitCode).toBe(0);

  // The level of the log is as before, too: this is said at "info".
  place.write(...wrong.filter((line) => !/inflate|log-level/.test(line)));
  await reload(up, "configuration: read again");
  expect(await statusTo("mill.example")).toBe(200);
  expect(setIn(workersIn(place, "pool")[0], "SNAPMILL_MIN_FREE")).toBe("7%");
  expect(await up.end("SIGTERM")).toBe(0);
  expect(place.residue()).toEqual([]);
});

test("the rate and other certificate files are taken over; one that is not usable changes nothing", async () => {
  const https = (directory: string, which: string) => [
    "[http]",
    `certificate = "${directory}/${which}/server.pem"`,
    `key = "${directory}/${which}/server.key"`,
  ];
  let files = "";
  const authorities: string[] = [];
  using place = new PlaceWithFile((directory) => {
    files = directory;
    for (const which of ["a", "b"])
      authorities.push(readFileSync(makeCertificates(join(directory, which)).authority, "utf8"));
    return https(directory, "a");
  });
  await using up = place.up();
  const url = /https:\/\/[^/]+/.exec(await up.ready())?.[0] ?? "";
  const authorization = `Bearer ${place.token}`;
  const ask = (authority: number) =>
    fetch(`${url}/v1/pools`, { headers: { authorization }, tls: { ca: authorities[authority] }, keepalive: false });
  const isServed = (authority: number) =>
    ask(authority).then(
      ({ ok }) => ok,
      () => false,
    );
  expect([await isServed(0), await isServed(1)]).toEqual([true, false]);

  place.write(...https(files, "b"), "requests-per-second = 1000");
  await reload(up, "configuration: read again");
  expect([await isServed(0), await isServed(1)]).toEqual([false, true]);

  const [worker] = workersIn(place, "pool");
  place.write('min-free = "7%"', ...https(files, "missing"), "requests-per-second = 1");
  await reload(up, "configuration: taken back, every setting is as before");
  await up.says("/missing/server.pem cannot be read");
  await up.says(`${place.file}:3: http.certificate`);
  expect(workersIn(place, "pool")).toEqual([worker ?? 0]);
  const many = await Promise.all(Array.from({ length: 20 }, () => ask(1)));
  expect(new Set(many.map(({ status }) => status))).toEqual(new Set([200]));

  place.write("[http]", "requests-per-second = 1");
  await reload(up, `http.certificate: \\"${files}/b/server.pem\\" -> not set: needs a restart`);
  await until(
    "the rate counts",
    async () => (await Promise.all(Array.from({ length: 4 }, () => ask(1)))).map(({ status }) => status),
    (statuses) => statuses.includes(429),
  );

  place.write("[http]", `certificate = "${files}/b/server.pem"`);
  await reload(up, `${place.file}:2: http.certificate: HTTPS needs a certificate and its key: set http.key as well`);
  expect(await up.end("SIGTERM")).toBe(0);
  expect(place.residue()).toEqual([]);
});

test("SIGTERM at any moment of a reload, also of one that goes back, stops in order", async () => {
  for (const [index, delayMs] of [0, 150, 400, 800].entries()) {
    using place = new PlaceWithFile(() => ['min-free = "10%"']);
    await using up = upWithoutIsal(place);
    await up.ready();
    place.write('min-free = "7%"', index % 2 === 0 ? "async-remove = true" : 'inflate = "isal"');
    process.kill(up.pid, "SIGHUP");
    await Bun.sleep(delayMs);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  }
});
