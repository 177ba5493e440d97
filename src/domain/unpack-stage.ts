// Room: domain. Owns the stages of an unpack, and how a failure carries the stage at which it happened.
import { asSnapmillError, SnapmillError } from "./errors.ts";
import { inWork } from "./work.ts";

/** The closed set of stages. */
export const unpackStages = [
  /** The job was lost or refused before it was executed, or too many of its workers were lost. */
  "queue",
  /** The image's reference, manifest or configuration. */
  "resolve",
  /** The download of a layer from a registry. */
  "fetch",
  /** The pool's new snapshot for a layer. */
  "prepare",
  /** Decompressing, verifying and writing a layer. */
  "unpack",
  /** The snapshot of a layer that is written. */
  "commit",
] as const;
export type UnpackStage = (typeof unpackStages)[number];

class StagedFailure extends SnapmillError {
  readonly stage: UnpackStage;

  constructor(stage: UnpackStage, { code, message }: SnapmillError, cause: unknown) {
    super(code, message, { cause });
    this.stage = stage;
  }
}

/** The same failure with its stage, for `stageOf`; the innermost stage counts. */
export function atStage(stage: UnpackStage, error: unknown): SnapmillError {
  const failure = asSnapmillError(error);
  return stageOf(failure) === undefined ? new StagedFailure(stage, failure, error) : failure;
}

/** The stage at which a failure happened, also if it was wrapped since; undefined: no stage is known. */
export function stageOf(error: unknown): UnpackStage | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof StagedFailure) return at.stage;
  return undefined;
}

/** Runs `work`, as work of that name; its failures get the stage. */
export async function inStage<T>(stage: UnpackStage, work: () => Promise<T>): Promise<T> {
  try {
    return await inWork({ name: stage }, work);
  } catch (error) {
    throw atStage(stage, error);
  }
}
