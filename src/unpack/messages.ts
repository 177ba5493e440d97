// Room: unpack. Owns the parsing of the writer's protocol: one checked message from each line.
import { z } from "zod";
import { fsTypes } from "../domain/devices.ts";
import { errorCodes } from "../domain/errors.ts";
import { diffId, digest } from "../domain/identifiers.ts";
import { compressions } from "../images/image.ts";
import { phases } from "./phases.ts";
import type { WriterMessage, WriterRequest } from "./protocol.ts";

const bytes = z.number().int().nonnegative();

const blobSource = z.object({
  blob: z.union([
    z.object({ path: z.string(), within: z.string().optional(), offsetBytes: bytes, lengthBytes: bytes }),
    z.object({ pipe: z.string(), lengthBytes: bytes }),
  ]),
  compression: z.enum(compressions),
});

const spaceSource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("file-system"), path: z.string() }),
  z.object({ kind: z.literal("thin-pool"), metadataDevice: z.string() }),
]);

const applyRequest = blobSource.extend({
  devicePath: z.string(),
  fsType: z.enum(fsTypes),
  mountOptions: z.array(z.string()),
  digest: z.string().transform(digest),
  diffId: z.string().transform(diffId),
  spaceGuards: z.array(z.object({ source: spaceSource, owner: z.enum(["pool", "host"]), minFreeBytes: bytes })),
  keepsMount: z.boolean().optional(),
  copy: z.object({ from: z.string(), to: z.string() }).optional(),
  next: blobSource.optional(),
});

const writerRequest = z.union([z.object({ type: z.literal("release") }), applyRequest]);

const times = {
  spentMs: z.record(z.enum(phases), z.number()),
  periods: z.partialRecord(z.enum(phases), z.object({ startMs: z.number(), endMs: z.number() })),
};

const writerMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("ready") }),
  z.object({ type: z.literal("progress"), readBytes: bytes, isFlushing: z.boolean(), ...times }),
  z.object({
    type: z.literal("applied"),
    bytes,
    entries: bytes,
    ...times,
  }),
  z.object({ type: z.literal("released") }),
  z.object({ type: z.literal("failed"), code: z.enum(errorCodes), message: z.string() }),
]);

export const parseWriterRequest = (line: string): WriterRequest => writerRequest.parse(JSON.parse(line));

export const parseWriterMessage = (line: string): WriterMessage => writerMessage.parse(JSON.parse(line));

export const encodeMessage = (message: WriterRequest | WriterMessage): string => `${JSON.stringify(message)}\n`;
