// Room: images. Owns the decompression of gzip through ISA-L: members one after the other, then zeroes, and nothing else.
import { invalidArgument } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { InflateError, type IsalInflater } from "../system/inflate/isal.ts";
import { maxPaddingBytes } from "../tar/blocks.ts";
import { ByteInput } from "./byte-input.ts";
import { gzipHeaderBytes, isGzip } from "./gzip-header.ts";

/** Of one step: what is inflated is still in the processor's cache when it is hashed. */
const outputBytes = 128 * 1024;

/** Memory for the next chunk, which will be at its beginning: at least a byte. */
export type Room = () => Promise<Uint8Array>;

function onlyRoom(): Room {
  const room = Promise.resolve(new Uint8Array(new ArrayBuffer(outputBytes)));
  return () => room;
}

/**
 * The decompressed chunks of `source`, each valid until the next is asked for. `source` is read to its end. Accepts what
 * node:zlib's gunzip does, with zeroes behind it. Errors: invalid_argument; what `source` and `room` throw.
 */
export async function* isalGunzip(
  source: AsyncIterable<Uint8Array>,
  inflater: IsalInflater,
  room = onlyRoom(),
): AsyncGenerator<Uint8Array> {
  await using input = new ByteInput(source);
  do {
    await skipHeader(input);
    yield* inflateMember(input, inflater, room);
  } while (await hasAnotherMember(input));
  await skipPadding(input);
}

async function skipHeader(input: ByteInput): Promise<void> {
  for (;;) {
    const lengthBytes = gzipHeaderBytes(input.bytes);
    if (lengthBytes !== undefined) return input.take(lengthBytes);
    if (!(await input.append())) throw truncated();
  }
}

/** Throws invalid_argument if neither a member nor padding follows. */
async function hasAnotherMember(input: ByteInput): Promise<boolean> {
  if (!(await input.hasMore()) || input.bytes[0] === 0) return false;
  if (input.bytes.length === 1) await input.append();
  if (!isGzip(input.bytes)) throw invalidArgument("garbage follows the gzip stream");
  return true;
}

async function* inflateMember(input: ByteInput, inflater: IsalInflater, room: Room): AsyncGenerator<Uint8Array> {
  inflater.begin();
  for (;;) {
    const output = (await room()).subarray(0, outputBytes);
    const { readBytes, writtenBytes, isOver } = step(inflater, input.bytes, output);
    input.take(readBytes);
    if (writtenBytes > 0) yield output.subarray(0, writtenBytes);
    if (isOver) return;
    // With the output full, more of it may be ready without more input.
    if (writtenBytes < output.length && !(await input.hasMore())) throw truncated();
  }
}

function step(inflater: IsalInflater, input: Uint8Array, output: Uint8Array) {
  try {
    return inflater.step(input, output);
  } catch (error) {
    throw error instanceof InflateError ? damaged(error.message, error) : error;
  }
}

/** Tape programs fill up with zeroes. */
async function skipPadding(input: ByteInput): Promise<void> {
  for (let paddingBytes = 0; await input.hasMore(); ) {
    const { bytes } = input;
    if (bytes.some((byte) => byte !== 0)) throw invalidArgument("garbage follows the gzip stream");
    paddingBytes += bytes.length;
    // A sparse file holds any number of them.
    if (paddingBytes > maxPaddingBytes)
      throw invalidArgument(`more than ${formatSize(maxPaddingBytes)} of zeroes follow the gzip stream`);
    input.take(bytes.length);
  }
}

const damaged = (reason: string, cause?: unknown): Error =>
  invalidArgument(`the gzip stream is damaged or truncated: ${reason}`, cause);

const truncated = (): Error => damaged("unexpected end of file");
