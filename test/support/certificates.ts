// Room: test. Owns test certificates: a private authority, and what it signs for loopback addresses.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Certificates {
  readonly authority: string;
  /** For 127.0.0.1, localhost and registry.test. */
  readonly certificate: string;
  readonly key: string;
  /** Signed by the same authority, for a client. */
  readonly clientCertificate: string;
  readonly clientKey: string;
}

const ecKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(directory: string, ...args: string[]): void {
  const done = Bun.spawnSync(["openssl", ...args], {
    cwd: directory,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  if (!done.success) throw new Error(`openssl ${args.join(" ")}: ${done.stderr.toString()}`);
}

/** Writes the files to `directory`, which is created. */
export function makeCertificates(directory: string): Certificates {
  mkdirSync(directory, { recursive: true });
  const extensions: Readonly<Record<string, string>> = {
    server: "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n",
    client: "extendedKeyUsage=clientAuth\n",
  };
  const days = ["-days", "2"];
  openssl(
    directory,
    "req",
    "-x509",
    ...ecKey,
    ...days,
    "-subj",
    "/CN=authority",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
  );
  for (const [name, text] of Object.entries(extensions)) {
    writeFileSync(join(directory, `${name}.ext`), text);
    openssl(directory, "req", ...ecKey, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`);
    const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", `${name}.ext`];
    openssl(directory, "x509", "-req", "-in", `${name}.csr`, ...signing, ...days, "-out", `${name}.pem`);
  }
  const path = (name: string) => join(directory, name);
  return {
    authority: path("ca.pem"),
    certificate: path("server.pem"),
    key: path("server.key"),
    clientCertificate: path("client.pem"),
    clientKey: path("client.key"),
  };
}
