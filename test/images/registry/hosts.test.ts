import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hostsOf } from "../../../src/images/registry/hosts.ts";
import { temporaryDirectory } from "../../support/directories.ts";

/** The hosts of `registry` with these files below a certs.d, as `base URL capabilities [?ns]`. */
async function hosts(registry: string, files: Record<string, string>, plainHttp = false) {
  await using certs = await temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(certs.path, name)), { recursive: true });
    await writeFile(join(certs.path, name), text);
  }
  return await hostsOf(registry, { certsDirs: [join(certs.path, "nothing"), certs.path], plainHttp });
}

const pem = (text: string): string => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;

describe("without a hosts.toml", () => {
  test("a registry is reached by HTTPS, or by HTTP when that is asked for", async () => {
    expect(await hosts("localhost:5000", {})).toMatchObject([
      { name: "localhost:5000", baseUrl: "https://localhost:5000/v2", tls: {} },
    ]);
    expect(await hosts("localhost:5000", {}, true)).toMatchObject([{ baseUrl: "http://localhost:5000/v2" }]);
  });

  test("Docker Hub is reached where its API is", async () => {
    expect(await hosts("docker.io", {})).toMatchObject([
      { baseUrl: "https://registry-1.docker.io/v2", namespace: undefined },
    ]);
  });

  test("Docker's certificates are used", async () => {
    const files = {
      "r.example_5000_/a.crt": pem("authority"),
      "r.example_5000_/c.cert": pem("ours"),
      "r.example_5000_/c.key": pem("key"),
    };
    const [host] = await hosts("r.example:5000", files);
    expect(host?.tls.ca?.at(-1)).toBe(pem("authority"));
    expect(host?.tls.ca?.length).toBeGreaterThan(20);
    expect(host?.tls).toMatchObject({ cert: pem("ours"), key: pem("key") });
  });
});

describe("a hosts.toml", () => {
  const toml = `
server = "https://upstream.example"
[host."https://mirror.example:5000"]
  capabilities = ["pull"]
  ca = ["ca.pem", "ca.pem"]
  client = [["c.pem", "k.pem"]]
  [host."https://mirror.example:5000".header]
    x-one = ["1", "2"]
[host."http://plain.example/some/path"]
  capabilities = ["pull", "resolve"]
  override_path = true
  skip_verify = true
[host."bare.example/prefix/"]
`;
  const files = {
    "r.example/hosts.toml": toml,
    "r.example/ca.pem": pem("ca"),
    "r.example/c.pem": pem("c"),
    "r.example/k.pem": pem("k"),
  };

  test("gives the hosts in order, then the server", async () => {
    const found = await hosts("r.example", files);
    expect(found.map(({ baseUrl }) => baseUrl)).toEqual([
      "https://mirror.example:5000/v2",
      "http://plain.example/some/path",
      "https://bare.example/prefix/v2",
      "https://upstream.example/v2",
    ]);
    expect(found.map(({ capabilities }) => [...capabilities].sort().join())).toEqual([
      "pull",
      "pull,resolve",
      "pull,push,resolve",
      "pull,push,resolve",
    ]);
    expect(found.map(({ namespace }) => namespace)).toEqual(["r.example", "r.example", "r.example", "r.example"]);
    expect(found[0]?.headers).toEqual({ "x-one": "1, 2" });
    expect(found[0]?.tls).toMatchObject({ cert: pem("c"), key: pem("k") });
    expect(found[1]?.tls).toEqual({ rejectUnauthorized: false });
  });

  test("without a server ends with the registry itself, which is told no namespace", async () => {
    const found = await hosts("docker.io", { "docker.io/hosts.toml": '[host."https://m.example"]' });
    expect(found.map(({ baseUrl, namespace }) => [baseUrl, namespace])).toEqual([
      ["https://m.example/v2", "docker.io"],
      ["https://registry-1.docker.io/v2", undefined],
    ]);
  });

  test("of _default counts for registries that have none", async () => {
    const all = {
      "_default/hosts.toml": '[host."https://m.example"]',
      "r.example/hosts.toml": 'server = "http://r.example"',
    };
    expect((await hosts("r.example", all)).map(({ baseUrl }) => baseUrl)).toEqual(["http://r.example/v2"]);
    expect((await hosts("other.example", all)).length).toBe(2);
  });

  const wrong: readonly (readonly [title: string, text: string, said: RegExp])[] = [
    ["that is no TOML", "[host", /hosts.toml is not a valid hosts.toml \(.*TOML/],
    ["with a wrong value", "skip_verify = 3", /skip_verify: .*expected boolean/],
    ["with a capability that there is not", 'capabilities = ["delete"]', /capabilities\.0/],
    ["with a host that is no URL", '[host."ftp://x"]', /no http or https URL/],
    ["with a password", '[host."https://me:planted@x"]', /has credentials in an URL/],
    [
      "with a certificate that is not there",
      'ca = "missing.pem"',
      /certificate authority .*missing.pem cannot be read/,
    ],
    ["with two client certificates", 'client = [["c.pem", ""], ["c.pem", ""]]', /2 client certificates/],
  ];
  test.each(wrong)("%s is refused", async (_title, text, said) => {
    const refused = await hosts("r.example", { ...files, "r.example/hosts.toml": text }).then(
      () => "nothing",
      (error: Error) => error.message,
    );
    expect(refused).toMatch(said);
    expect(refused).not.toContain("planted");
  });
});
