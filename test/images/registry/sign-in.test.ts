import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { childEnvironment } from "../../../src/config.ts";
import { type Certificates, makeCertificates } from "../../support/certificates.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/directories.ts";
import { answerWith, FaultyProxy } from "../../support/faulty-proxy.ts";
import { type BuiltLayer, writeLayout } from "../../support/images.ts";
import { Registry, type RegistryOptions, registryPrograms } from "../../support/registry.ts";
import { file } from "../../support/tar-entries.ts";
import { TokenService } from "../../support/token-service.ts";
import { describeWith } from "../../support/tools.ts";
import { failureOf, type RepositorySettings, readBlob, repositoryOf } from "./fixture.ts";

const password = "planted-password";
const refreshToken = "planted-refresh-token";
const blobs = /\/blobs\//;

describeWith([...registryPrograms, "openssl"], "a registry", () => {
  const resources = new AsyncDisposableStack();
  let directory: TemporaryDirectory;
  let certificates: Certificates;
  let plain: Registry;
  let layer: BuiltLayer;

  beforeAll(async () => {
    directory = resources.use(await temporaryDirectory());
    certificates = makeCertificates(join(directory.path, "certificates"));
    plain = resources.use(await Registry.start(join(directory.path, "plain")));
    const layout = await writeLayout(join(directory.path, "layout"), [
      { tag: "v1", image: { layers: [{ content: [file("content", "x".repeat(5000))] }] } },
    ]);
    for (const name of ["org/app:v1", "public/app:v1"]) await plain.push(`oci:${layout.directory}:v1`, name);
    layer = layout.images[0]?.layers[0] as BuiltLayer;
  });
  afterAll(() => resources.disposeAsync());

  /** Another registry with the same images. */
  const start = async (name: string, options: RegistryOptions) =>
    resources.use(
      await Registry.start(join(directory.path, name), { ...options, storage: join(directory.path, "plain") }),
    );
  const read = async (settings: Omit<RepositorySettings, "repository"> & { repository?: string }) => {
    const repository = await repositoryOf({ repository: "org/app", ...settings });
    return (await readBlob(repository, { digest: layer.digest, sizeBytes: layer.blobBytes })).length;
  };
  const inline = (host: string, entry: Record<string, string>) => ({
    inline: JSON.stringify({ auths: { [host]: entry } }),
  });

  describe("over TLS with an authority of its own", () => {
    let registry: Registry;
    beforeAll(async () => {
      registry = await start("tls", { tls: certificates });
    });

    async function certsDir(name: string, toml: string): Promise<string> {
      const root = join(directory.path, name);
      await mkdir(join(root, registry.host), { recursive: true });
      await writeFile(join(root, registry.host, "hosts.toml"), toml);
      return root;
    }

    test("is trusted when hosts.toml says so, and only then", async () => {
      const host = registry.host;
      const trusting = await certsDir("trusting", `server = "https://${host}"\nca = "${certificates.authority}"`);
      expect(await read({ registry: host, certsDirs: [trusting] })).toBe(layer.blobBytes);
      const skipping = await certsDir("skipping", `server = "https://${host}"\nskip_verify = true`);
      expect(await read({ registry: host, certsDirs: [skipping] })).toBe(layer.blobBytes);
      const other = await certsDir("other", `server = "https://${host}"`);
      const failure = await failureOf(read({ registry: host, certsDirs: [other] }));
      expect(failure.code).toBe("failed_precondition");
      expect(failure.message).toMatch(
        /has a certificate that is not trusted \(\w+\) for the blob sha256:\w+ of org\/app; add its authority/,
      );
    });

    test("is asked with a client's certificate where it wants one", async () => {
      const strict = await start("strict", { tls: { ...certificates, clientAuthority: certificates.authority } });
      const root = join(directory.path, "client");
      await mkdir(join(root, strict.host), { recursive: true });
      const trust = `server = "https://${strict.host}"\nca = "${certificates.authority}"`;
      await writeFile(join(root, strict.host, "hosts.toml"), trust);
      expect((await failureOf(read({ registry: strict.host, certsDirs: [root] }))).message).toContain(strict.host);
      const pair = `client = [["${certificates.clientCertificate}", "${certificates.clientKey}"]]`;
      await writeFile(join(root, strict.host, "hosts.toml"), `${trust}\n${pair}`);
      expect(await read({ registry: strict.host, certsDirs: [root] })).toBe(layer.blobBytes);
    });

    test("is not taken for one over plain HTTP, nor the other way round", async () => {
      const other = await certsDir("plain", `server = "https://${plain.host}"`);
      await mkdir(join(other, plain.host), { recursive: true });
      await writeFile(join(other, plain.host, "hosts.toml"), `server = "https://${plain.host}"`);
      const failure = await failureOf(read({ registry: plain.host, certsDirs: [other] }));
      expect(failure).toMatchObject({ code: "failed_precondition" });
      expect(failure.message).toContain("does not speak TLS");
      expect((await failureOf(read({ registry: registry.host }))).message).toContain("answered 400");
    });
  });

  test("behind a proxy is reached through it, unless NO_PROXY says otherwise", async () => {
    const registry = await start("proxied", { tls: certificates });
    const asked: string[] = [];
    const proxy = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (head) => {
        asked.push(head.toString().split("\r\n")[0] ?? "");
        const target = connect(Number(registry.host.split(":")[1]), "127.0.0.1");
        target.on("error", () => socket.destroy()).on("close", () => socket.destroy());
        socket.on("close", () => target.destroy());
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        socket.pipe(target).pipe(socket);
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    resources.defer(() => void proxy.close());
    const root = join(directory.path, "proxied-certs");
    await mkdir(join(root, "registry.test"), { recursive: true });
    const toml = `server = "https://registry.test"\nca = "${certificates.authority}"`;
    await writeFile(join(root, "registry.test", "hosts.toml"), toml);
    const script = `
      const { readBlob, repositoryOf, messageOf } = await import(process.argv[1]);
      const [certsDir, digest, size] = process.argv.slice(2);
      const repository = await repositoryOf({ registry: "registry.test", repository: "org/app", certsDirs: [certsDir] });
      console.log(await messageOf(readBlob(repository, { digest, sizeBytes: Number(size) })));
    `;
    const readWith = async (variables: Record<string, string>) => {
      const { port } = proxy.address() as AddressInfo;
      const args = [join(import.meta.dir, "fixture.ts"), root, layer.digest, String(layer.blobBytes)];
      const env = { ...childEnvironment({}), HTTPS_PROXY: `http://127.0.0.1:${port}`, ...variables };
      const child = Bun.spawn([process.execPath, "-e", script, ...args], { env, stderr: "inherit" });
      return (await new Response(child.stdout).text()).trim();
    };
    expect(await readWith({})).toBe("nothing was thrown");
    expect([...new Set(asked.splice(0))]).toEqual(["CONNECT registry.test:443 HTTP/1.1"]);
    expect(await readWith({ NO_PROXY: ".test" })).toContain("registry.test gave no whole answer");
    expect(asked).toEqual([]);
  });

  describe("with passwords", () => {
    let registry: Registry;
    beforeAll(async () => {
      const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
      const htpasswd = join(directory.path, "htpasswd");
      await writeFile(htpasswd, `me:${hash}\n`);
      registry = await start("basic", { htpasswd });
    });

    test("is asked with the password of its entry", async () => {
      const credentials = inline(registry.host, { auth: btoa(`me:${password}`) });
      expect(await read({ registry: registry.host, credentials })).toBe(layer.blobBytes);
    });

    test("refuses a wrong one, and none, for good", async () => {
      const wrong = inline(registry.host, { username: "me", password: "planted-wrong" });
      const refused = await failureOf(read({ registry: registry.host, credentials: wrong }));
      expect(refused.code).toBe("failed_precondition");
      expect(refused.message).toMatch(/answered 401 for .*: UNAUTHORIZED: authentication required/);
      expect(refused.message).not.toContain("planted");
      const none = await failureOf(read({ registry: registry.host }));
      expect(none.message).toMatch(/UNAUTHORIZED.*; no credentials for it were found$/);
    });
  });

  describe("with a token service", () => {
    let service: TokenService;
    let registry: Registry;
    let proxy: FaultyProxy;
    beforeAll(async () => {
      service = resources.use(new TokenService(certificates, { user: "me", password, refreshToken }));
      const { realm, issuer } = service;
      const token = { realm, issuer, service: service.service, rootcertbundle: certificates.authority };
      registry = await start("token", { token });
      proxy = resources.use(await FaultyProxy.start(`http://${registry.host}`));
    });
    const asked = () => service.requests.splice(0);

    test("is asked with a token for the repository, which is kept", async () => {
      const credentials = inline(registry.host, { auth: btoa(`me:${password}`) });
      const repository = await repositoryOf({ registry: registry.host, repository: "org/app", credentials });
      const blob = { digest: layer.digest, sizeBytes: layer.blobBytes };
      for (let turn = 0; turn < 3; turn += 1) await readBlob(repository, blob);
      expect(asked()).toEqual([
        {
          method: "GET",
          authorization: `Basic ${btoa(`me:${password}`)}`,
          fields: { service: "test-registry", scope: "repository:org/app:pull", account: "me" },
        },
      ]);
    });

    test("is asked for another token when one has expired, and when it is no longer taken", async () => {
      service.lifeSeconds = 0.001;
      const credentials = inline(proxy.host, { auth: btoa(`me:${password}`) });
      const repository = await repositoryOf({ registry: proxy.host, repository: "org/app", credentials });
      const blob = { digest: layer.digest, sizeBytes: layer.blobBytes };
      for (let turn = 0; turn < 2; turn += 1) await readBlob(repository, blob);
      expect(asked().length).toBe(2);
      service.lifeSeconds = 300;
      await readBlob(repository, blob);
      const challenge = { "www-authenticate": `Bearer realm="${service.realm}",service="test-registry"` };
      proxy.plan(blobs, answerWith({ status: 401, headers: challenge, body: Buffer.of() }));
      await readBlob(repository, blob);
      expect(asked().length).toBe(2);
    });

    test("is asked by the refresh token of a login", async () => {
      const credentials = inline(registry.host, { identitytoken: refreshToken });
      expect(await read({ registry: registry.host, credentials })).toBe(layer.blobBytes);
      expect(asked()).toMatchObject([
        { method: "POST", authorization: null, fields: { grant_type: "refresh_token", refresh_token: refreshToken } },
      ]);
    });

    test("serves public repositories to all, and the rest only to its user", async () => {
      expect(await read({ registry: registry.host, repository: "public/app" })).toBe(layer.blobBytes);
      const none = await failureOf(read({ registry: registry.host }));
      expect(none.message).toMatch(/answered 401 for .*UNAUTHORIZED: authentication required/);
      const wrong = inline(registry.host, { username: "me", password: "planted-wrong" });
      const refused = await failureOf(read({ registry: registry.host, credentials: wrong }));
      expect(refused.code).toBe("failed_precondition");
      expect(refused.message).toMatch(
        /^the token service 127.0.0.1:\d+ answered 401 for .*: incorrect username or password/,
      );
      expect(refused.message).not.toContain("planted");
    });
  });
});
