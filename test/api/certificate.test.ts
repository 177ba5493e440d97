import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type CertificateFiles, readCertificate } from "../../src/api/http/certificate.ts";
import { Listener } from "../../src/api/http/listener.ts";
import { createLogger } from "../../src/logger.ts";
import { until } from "../support/until.ts";

let directory = "";
let files: CertificateFiles;
const log = createLogger({ name: "test", level: "silent" });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-certificate-"));
  files = make("first");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A certificate that signs itself, valid between these days from now. */
function make(name: string, fromDays = -1, toDays = 30): CertificateFiles {
  const [certificate, key, request] = ["crt", "key", "csr"].map((ending) => join(directory, `${name}.${ending}`)) as [
    string,
    string,
    string,
  ];
  const time = (days: number) =>
    `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+Z/g, "")}Z`;
  const config = join(directory, "ca.cnf");
  const authority = `new_certs_dir=${directory}\ndatabase=${directory}/index\nrand_serial=yes\ndefault_md=sha256`;
  writeFileSync(config, `[ca]\ndefault_ca=own\n[own]\n${authority}\npolicy=any\n[any]\ncommonName=supplied\n`);
  writeFileSync(join(directory, "index"), "");
  const curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(" ");
  openssl("req", "-new", ...curve, "-subj", `/CN=${name}`, "-keyout", key, "-out", request);
  const times = ["-startdate", time(fromDays), "-enddate", time(toDays)];
  const signing = ["-batch", "-notext", "-selfsign", "-config", config, "-keyfile", key];
  openssl("ca", ...signing, ...times, "-in", request, "-out", certificate);
  return { certificate, key };
}

function openssl(...args: readonly string[]): void {
  const done = Bun.spawnSync(["openssl", ...args], { stderr: "pipe" });
  if (!done.success) throw new Error(done.stderr.toString());
}

const refusal = (given: CertificateFiles): string => {
  try {
    readCertificate(given);
    return "accepted";
  } catch (error) {
    return String(error);
  }
};

test("a certificate and its key are accepted", () => expect(refusal(files)).toBe("accepted"));

test.each<[string, () => CertificateFiles, string]>([
  ["a missing certificate", () => ({ ...files, certificate: "/nowhere.crt" }), "/nowhere.crt cannot be read"],
  ["a missing key", () => ({ ...files, key: "/nowhere.key" }), "/nowhere.key cannot be read"],
  ["another's key", () => ({ ...files, key: make("second").key }), "does not belong to the certificate"],
  ["one that has expired", () => make("old", -3, -1), "has expired"],
  ["one that is not valid yet", () => make("new", 1, 3), "is not valid yet"],
  ["a key for a certificate", () => ({ ...files, certificate: files.key }), "is not one in PEM format"],
  ["a certificate for a key", () => ({ ...files, key: files.certificate }), "is not one in PEM format"],
  ["a directory", () => ({ ...files, key: directory }), "cannot be read"],
])("%s is refused by name", (_what, given, words) => {
  chmodSync(files.certificate, 0o600);
  expect(refusal(given())).toContain(words);
});

test("a key that every user of the host can read is refused", () => {
  chmodSync(files.key, 0o644);
  expect(refusal(files)).toContain("chmod 600 it");
});

/** The name in the certificate that is served. */
async function served(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const port = Number(new URL(url).port);
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () =>
    resolve(String(socket.getPeerCertificate().subject.CN)),
  );
  socket.on("error", reject);
  return await promise.finally(() => socket.destroy());
}

function replace(by: CertificateFiles): void {
  copyFileSync(by.certificate, files.certificate);
  copyFileSync(by.key, files.key);
}

test("a renewed certificate is used without a restart, and requests that were begun are answered", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const slow = async () => {
    await answered;
    return new Response("whole");
  };
  const address = { hostname: "127.0.0.1", port: 0 };
  const fetched = (request: Request) => (request.url.endsWith("/slow") ? slow() : new Response("ok"));
  await using listener = new Listener({ address, certificate: files, fetch: fetched, log });
  expect(listener.url).toStartWith("https://127.0.0.1:");
  expect(await served(listener.url)).toBe("first");
  const begun = fetch(`${listener.url}/slow`, { tls: { rejectUnauthorized: false } });
  replace(make("second"));
  await until(
    "the second is served",
    () => served(listener.url).catch(String),
    (name) => name === "second",
  );
  answer();
  expect(await (await begun).text()).toBe("whole");

  writeFileSync(files.certificate, "not a certificate");
  expect(await served(listener.url)).toBe("second");
  replace(make("third"));
  await until(
    "the third is served",
    () => served(listener.url).catch(String),
    (name) => name === "third",
  );
});

test("other files are used without a restart while a request runs; some that are not usable change nothing", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const slow = async () => {
    ask();
    await answered;
    return new Response("whole");
  };
  const address = { hostname: "127.0.0.1", port: 0 };
  await using listener = new Listener({ address, certificate: files, fetch: slow, log });
  const begun = fetch(`${listener.url}/slow`, { tls: { rejectUnauthorized: false } });
  await asked;
  const second = make("second");
  listener.useCertificate(second);
  expect(await served(listener.url)).toBe("second");
  expect(() => listener.useCertificate({ ...second, key: "/nowhere.key" })).toThrow("/nowhere.key cannot be read");
  expect(await served(listener.url)).toBe("second");
  answer();
  expect(await (await begun).text()).toBe("whole");
  // From now on, it is the second's files that are renewed.
  const third = make("third");
  copyFileSync(third.certificate, second.certificate);
  copyFileSync(third.key, second.key);
  await until(
    "the third is served",
    () => served(listener.url).catch(String),
    (name) => name === "third",
  );
});

test("plain HTTP at the address of HTTPS is closed without an answer", async () => {
  const address = { hostname: "127.0.0.1", port: 0 };
  await using listener = new Listener({ address, certificate: files, fetch: () => new Response("ok"), log });
  const plain = listener.url.replace("https:", "http:");
  expect(await fetch(plain).then(String, () => "refused")).toBe("refused");
});
