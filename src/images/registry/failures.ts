// Room: images. Owns the failures of registries: which are final and which are retried, and what an error says.
import { z } from "zod";
import { type ErrorCode, SnapmillError } from "../../domain/errors.ts";

/** What was requested: every error names it. */
export interface Subject {
  /** `host[:port]` that was asked: a mirror, or the registry itself. */
  readonly host: string;
  readonly repository: string;
  /** "the blob sha256:…", say. */
  readonly what: string;
}

/** A failed attempt that is worth a retry. */
export class AttemptFailure extends Error {
  override readonly name = "AttemptFailure";
  /** The pause that the registry asks for (Retry-After); undefined when it asks for none. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

const leastSecretNameLength = 16;

/** The secrets that were sent: a registry may quote one in the text of an error. */
export class Secrets {
  readonly #known = new Set<string>();

  /** Redacts `secret` as it is, and as it is encoded in a form or a query. */
  add(secret: string): void {
    if (secret === "") return;
    const inForm = new URLSearchParams({ s: secret }).toString().slice("s=".length);
    for (const spelling of [secret, inForm, encodeURIComponent(secret)]) this.#known.add(spelling);
  }

  /** Redacts the value of an authorization header behind its scheme, and the user name and password in it. */
  addAuthorization(value: string): void {
    const shown = value.replace(/^\S+ +/, "");
    this.add(shown);
    if (!/^basic /i.test(value)) return;
    const decoded = Buffer.from(shown, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    if (colon === -1) return;
    this.add(decoded);
    this.add(decoded.slice(colon + 1));
    // Some registries take a token as the user name. A short name is no secret, and occurs in ordinary words.
    if (colon >= leastSecretNameLength) this.add(decoded.slice(0, colon));
  }

  /** Redacts the headers that a hosts.toml sets: every value, and the parts of those that authorize. */
  addHeaders(headers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(headers)) {
      this.add(value);
      if (/^(?:proxy-)?authorization$/i.test(name)) this.addAuthorization(value);
    }
  }

  redact(text: string): string {
    let redacted = text;
    for (const secret of this.#known) redacted = redacted.replaceAll(secret, "[redacted]");
    return redacted;
  }
}

const maxTextLength = 300;
const errorList = z.object({
  errors: z
    .array(z.object({ code: z.string().optional(), message: z.string().optional(), detail: z.unknown().optional() }))
    .min(1),
});
/** Token services have one of these. */
const errorObject = z.object({
  error: z.string().optional(),
  details: z.string().optional(),
  message: z.string().optional(),
});

function textOf(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    const list = errorList.safeParse(value);
    if (list.success) {
      return list.data.errors
        .map(({ code, message, detail }) => [code, message, typeof detail === "string" ? detail : ""])
        .map((parts) => parts.filter(Boolean).join(": "))
        .join("; ");
    }
    const object = errorObject.safeParse(value);
    if (object.success) return Object.values(object.data).filter(Boolean).join(": ");
    return "";
  } catch {
    // A page of HTML is no error text.
    return /^\s*</.test(body) ? "" : body;
  }
}

/** The registry's own error text, in one line; "" when there is none. */
export function errorText(body: string, secrets: Secrets): string {
  const line = secrets
    .redact(textOf(body))
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  return line.length > maxTextLength ? `${line.slice(0, maxTextLength)}…` : line;
}

/** The pause in a Retry-After header: seconds, or a date. */
export function retryAfterMs(header: string | null, nowMs = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * 1000;
  const atMs = /^\s*[A-Z][a-z]+,? /.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

const transientStatuses = new Set([408, 425, 429, 500, 502, 503, 504]);

function codeOf(status: number): ErrorCode {
  return status === 404 || status === 410 ? "not_found" : "failed_precondition";
}

export const sentence = ({ host, repository, what }: Subject, said: string): string =>
  `${host} ${said} for ${what} of ${repository}`;

/** The error for an answer with `status`; `hint` is appended. */
export function statusFailure(
  subject: Subject,
  { status, headers }: { readonly status: number; readonly headers: Headers },
  text: string,
  hint = "",
): AttemptFailure | SnapmillError {
  const message = `${sentence(subject, `answered ${status}`)}${text === "" ? "" : `: ${text}`}${hint}`;
  if (!transientStatuses.has(status)) return new SnapmillError(codeOf(status), message);
  const isPause = status === 429 || status === 503;
  return new AttemptFailure(message, isPause ? retryAfterMs(headers.get("retry-after")) : undefined);
}
