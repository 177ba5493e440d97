// Room: service. Owns the file of tokens: names, roles and hashes, never a token itself.
import { z } from "zod";
import { roles } from "../domain/callers.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { readOwnFile, writeOwnFile } from "../system/file/own-files.ts";

const keptToken = z.strictObject({
  name: z.string(),
  role: z.enum(roles),
  /** SHA-256 of the token, 64 hex digits. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAtMs: z.int(),
  /** Null: it does not expire. */
  expiresAtMs: z.int().nullable(),
});
export type KeptToken = z.infer<typeof keptToken>;

const fileShape = z.strictObject({ version: z.literal(1), tokens: z.array(keptToken) });

/** All are compared with each request. */
export const maxTokens = 256;

/**
 * One round of SHA-256, without salt: a token has 256 random bits, which no dictionary has and no machine tries. Hashes
 * made for passwords are slow on purpose, and would be paid with every request.
 */
export const hashOf = (token: string): string => new Bun.CryptoHasher("sha256").update(token).digest("hex");

/** Empty if there is no such file. Throws failed_precondition for a file that others can read, or that is damaged. */
export function readTokenFile(path: string): readonly KeptToken[] {
  const text = textOf(path);
  if (text === undefined) return [];
  const { data } = fileShape.safeParse(parsed(text));
  if (data !== undefined) return data.tokens;
  throw failedPrecondition(`${path} is damaged: delete it, and make its tokens again with 'snapmill token create'`);
}

export const writeTokenFile = (path: string, tokens: readonly KeptToken[]): void =>
  writeOwnFile(path, `${JSON.stringify({ version: 1, tokens }, null, 2)}\n`);

function textOf(path: string): string | undefined {
  try {
    return readOwnFile(path, { readableByOthers: "refused" });
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Undefined: the text is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
