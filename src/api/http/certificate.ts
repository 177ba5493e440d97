// Room: api. Owns the certificate of HTTPS: read from its two files, judged, and read again when they are renewed.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { failedPrecondition } from "../../domain/errors.ts";

/** Paths of PEM files. */
export interface CertificateFiles {
  /** The certificate, and those that lead to its root. */
  readonly certificate: string;
  readonly key: string;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly expiresAtMs: number;
}

/**
 * Throws failed_precondition, naming the file and the way out: one cannot be read, the key is open to all users of the host
 * or belongs to another certificate, the certificate has expired or is not valid yet.
 */
export function readCertificate(files: CertificateFiles): Certificate {
  const cert = contentOf("certificate", files.certificate);
  const key = contentOf("key", files.key);
  if ((statSync(files.key).mode & 0o007) !== 0) {
    throw failedPrecondition(`the key ${files.key} can be read or written by every user of the host: chmod 600 it`);
  }
  const parsed = parse(
    `the certificate ${files.certificate} is not one in PEM format`,
    () => new X509Certificate(cert),
  );
  const privateKey = parse(`the key ${files.key} is not one in PEM format, without a passphrase`, () =>
    createPrivateKey(key),
  );
  if (!parsed.checkPrivateKey(privateKey)) {
    throw failedPrecondition(`the key ${files.key} does not belong to the certificate ${files.certificate}`);
  }
  const nowMs = Date.now();
  if (Date.parse(parsed.validTo) <= nowMs) {
    throw failedPrecondition(`the certificate ${files.certificate} has expired (${parsed.validTo}): renew it`);
  }
  if (Date.parse(parsed.validFrom) > nowMs) {
    throw failedPrecondition(
      `the certificate ${files.certificate} is not valid yet (from ${parsed.validFrom}): look at the clock`,
    );
  }
  return { cert, key, expiresAtMs: Date.parse(parsed.validTo) };
}

/** Differs for each state of the files. */
export const stampOf = ({ certificate, key }: CertificateFiles): string =>
  [certificate, key]
    .map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }))
    .map((found) => (found === undefined ? "none" : `${found.ino}:${found.mtimeNs}:${found.ctimeNs}:${found.size}`))
    .join(" ");

function contentOf(what: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw failedPrecondition(`the ${what} ${path} cannot be read (${reason}): give the path of a PEM file`, error);
  }
}

function parse<T>(sentence: string, parser: () => T): T {
  try {
    return parser();
  } catch (error) {
    throw failedPrecondition(sentence, error);
  }
}
