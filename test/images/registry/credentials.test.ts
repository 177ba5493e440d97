import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../../src/config.ts";
import { findCredential } from "../../../src/images/registry/credentials.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";

const planted = "planted-secret-17";
const auth = (username: string, password: string) => ({
  auth: Buffer.from(`${username}:${password}`).toString("base64"),
});

let directory: TemporaryDirectory;

/** A program that keeps secrets, as docker-credential-helpers speak: what it gets on its input decides. */
const program = `#!/bin/sh
read server
case "$server" in
  helped.example) echo '{"ServerURL":"x","Username":"helped","Secret":"${planted}"}' ;;
  https://index.docker.io/v1/) echo '{"Username":"<token>","Secret":"${planted}"}' ;;
  broken.example) echo '${planted} is broken'; exit 1 ;;
  odd.example) echo '${planted}' ;;
  *) echo "credentials not found in native keychain"; exit 1 ;;
esac
`;

beforeAll(async () => {
  directory = await temporaryDirectory();
  const file = join(directory.path, "docker-credential-testing");
  await writeFile(file, program);
  await chmod(file, 0o755);
});
afterAll(() => directory[Symbol.asyncDispose]());

async function inFile(content: unknown, name = "auth.json"): Promise<string> {
  const file = join(directory.path, name);
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

const find = async (content: unknown, host: string, repository = "org/app") =>
  await findCredential({ authFile: await inFile(content), inline: undefined, files: [] }, host, repository);

const basic = (username: string, password = "p") => ({ kind: "basic" as const, username, password });
const module = join(import.meta.dir, "../../../src/images/registry/credentials.ts");
const script = `
  const { findCredential } = await import(process.argv[1]);
  const [authFile, host] = process.argv.slice(2);
  const found = await findCredential({ authFile, files: [] }, host, "org/app").catch((error) => error.message);
  console.log(JSON.stringify(found ?? null));
`;

/** What a process that has the program in its PATH finds; a string is the message of an error. */
async function findByProgram(content: unknown, host: string): Promise<unknown> {
  const environment = childEnvironment({});
  const child = Bun.spawn([process.execPath, "-e", script, module, await inFile(content), host], {
    env: { ...environment, PATH: `${directory.path}:${environment["PATH"] ?? ""}` },
    stderr: "inherit",
  });
  return JSON.parse(await new Response(child.stdout).text());
}

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing",
    (error: Error) => error.message,
  );

describe("of the entries of a file", () => {
  test("the one with the longest path counts, whole components only", async () => {
    const auths = {
      "r.example": auth("host", "p"),
      "r.example/org": auth("org", "p"),
      "r.example/org/app": auth("app", "p"),
      "r.example/org/ap": auth("ap", "p"),
    };
    expect(await find({ auths }, "r.example")).toEqual(basic("app"));
    expect(await find({ auths }, "r.example", "org/other")).toEqual(basic("org"));
    expect(await find({ auths }, "r.example", "organization/app")).toEqual(basic("host"));
    expect(await find({ auths }, "r.example:5000")).toBeUndefined();
    expect(await find({ auths }, "x.r.example")).toBeUndefined();
  });

  test.each(["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"])(
    "%s is Docker Hub's",
    async (key) => {
      expect(await find({ auths: { [key]: auth("hub", "a:b") } }, "registry-1.docker.io")).toEqual(basic("hub", "a:b"));
    },
  );

  test("an old one with a URL counts for its host", async () => {
    expect(await find({ auths: { "https://r.example/v1/": auth("old", "p") } }, "r.example")).toEqual(basic("old"));
  });

  test("tokens are told apart", async () => {
    expect(await find({ auths: { "r.example": { ...auth("u", "p"), identitytoken: "t" } } }, "r.example")).toEqual({
      kind: "identity",
      token: "t",
    });
    expect(await find({ auths: { "r.example": { registrytoken: "t" } } }, "r.example")).toEqual({
      kind: "bearer",
      token: "t",
    });
    expect(await find({ auths: { "r.example": {} } }, "r.example")).toBeUndefined();
  });
});

describe("a program that keeps secrets", () => {
  test("is asked for the registry that it is named for, and for all with credsStore", async () => {
    const auths = { "helped.example": auth("file", "p"), "r.example": auth("file", "p") };
    const helpers = { auths, credHelpers: { "helped.example": "testing" } };
    expect(await findByProgram(helpers, "helped.example")).toEqual(basic("helped", planted));
    expect(await find(helpers, "r.example")).toEqual(basic("file"));
    expect(await findByProgram({ auths, credsStore: "testing" }, "r.example")).toEqual(basic("file"));
    const hub = await findByProgram({ credsStore: "testing" }, "registry-1.docker.io");
    expect(hub).toEqual({ kind: "identity", token: planted });
  });

  test.each(["broken.example", "odd.example"])("that fails for %s is told of without what it said", async (host) => {
    const said = await findByProgram({ credsStore: "testing" }, host);
    expect(said).toContain("docker-credential-testing");
    expect(said).toContain(host);
    expect(said).not.toContain(planted);
  });

  test("that is missing, or has an odd name, is reported", async () => {
    expect(await messageOf(find({ credsStore: "none" }, "r.example"))).toContain("docker-credential-none is missing");
    expect(await messageOf(find({ credsStore: "../x" }, "r.example"))).toContain("is not a program's name");
  });
});

describe("of the places", () => {
  test("the variable goes before the files, and the first file that has something counts", async () => {
    const one = await inFile({ auths: { "r.example": auth("one", "p") } }, "one.json");
    const two = await inFile({ auths: { "r.example": auth("two", "p"), "s.example": auth("two", "p") } }, "two.json");
    const inline = JSON.stringify({ auths: { "r.example": auth("inline", "p") } });
    const sources = { authFile: undefined, inline, files: [join(directory.path, "missing.json"), one, two] };
    expect(await findCredential(sources, "r.example", "a")).toEqual(basic("inline"));
    expect(await findCredential({ ...sources, inline: undefined }, "r.example", "a")).toEqual(basic("one"));
    expect(await findCredential(sources, "s.example", "a")).toEqual(basic("two"));
    expect(await findCredential({ ...sources, authFile: two }, "r.example", "a")).toEqual(basic("two"));
  });

  test("one that is asked for by name must be there", async () => {
    const sources = { authFile: "/nowhere/auth.json", inline: undefined, files: [] };
    expect(await messageOf(findCredential(sources, "r.example", "a"))).toBe(
      `there is no auth file /nowhere/auth.json on ${hostname()}, the pool's host: --authfile names a file there`,
    );
  });

  test("a file of something else is refused without quoting it", async () => {
    for (const content of [`root:${planted}:0:0`, JSON.stringify({ auths: { [planted]: 3 } }), `{"a": ${planted}`]) {
      const said = await messageOf(find(content, "r.example"));
      expect(said).toContain("is not a valid auth file");
      expect(said).not.toContain(planted);
    }
  });
});
