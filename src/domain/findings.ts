// Room: domain. Owns what doctor can find in a pool, and how two inspections are compared.

export const findingKinds = [
  /** The pool as a whole: read-only, failed, needs_check or full; or it is missing, or cannot be opened. */
  "pool-state",
  /** A metadata snapshot is held, by a program that reads the pool or one that died. */
  "metadata-snapshot-held",
  /** snapmill is not running, but something of the pool is attached to the host: a loop device, a mount, an active device. */
  "left-attached",
  /** A record whose device has no content in the pool. */
  "content-lost",
  /** A record whose device is in the pool, but has no snapshot. */
  "record-without-snapshot",
  /** A device in the pool that has no record. */
  "device-without-record",
  /** A device is active, or its path exists, but it is neither in the pool nor recorded. */
  "activation-without-device",
  /** A device is not active although it should be, or is active although it should not be. */
  "wrong-activation",
  /** A device is recorded in a state in which no operation works on it, or in another state than it should be in. */
  "stuck-state",
  "faulty-device",
  /** An operation that began and was never answered. */
  "interrupted-operation",
  /** An active snapshot of an unpack whose process is gone. */
  "dead-unpack",
  /** A device ID that is in use and recorded as free. */
  "free-id-in-use",
  /** A removal that has been tried for a long time, and not yet given up. */
  "removal-pending",
  "removal-given-up",
  /** A removal that an operator has discarded: its device stays in the pool. */
  "removal-discarded",
  /** A failed job that snapmill cannot have written. */
  "damaged-job",
  /** An unpack that was accepted long ago and has not ended. */
  "unpack-pending",
  /** A record that cannot be read. */
  "damaged-record",
  /** An operation that has killed its worker repeatedly, and is no longer executed. */
  "operation-set-aside",
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** One thing that is wrong. */
export interface Finding {
  readonly kind: FindingKind;
  /** A device's name or ID, an operation's ID, a path, or the pool. Kind and subject together identify the finding. */
  readonly subject: string;
  /** A full sentence, without its full stop. */
  readonly sentence: string;
  /** What a repair does about it, or what the user can do where a repair must leave it alone. */
  readonly wayOut: string;
  /** Whether a repair tries to mend it, which is safe; something may have to be unmounted or closed first. */
  readonly repairable: boolean;
}

/** A finding, and whether it was repaired: the inspection after the repair no longer finds it. */
export interface Diagnosis extends Finding {
  /** See `findingId`. */
  readonly id: string;
  readonly repaired: boolean;
}

/** The same for the same thing in every look, and short enough to be typed. */
export const findingId = ({ kind, subject }: Pick<Finding, "kind" | "subject">): string =>
  new Bun.CryptoHasher("sha256").update(`${kind} ${subject}`).digest("hex").slice(0, 12);

export const diagnosed = (finding: Finding, repaired: boolean): Diagnosis => ({
  ...finding,
  id: findingId(finding),
  repaired,
});

const same = (one: Finding, other: Finding): boolean => one.kind === other.kind && one.subject === other.subject;

/** What is left is reported as the second inspection found it; what only that one found comes last. */
export function compareInspections(before: readonly Finding[], after: readonly Finding[]): Diagnosis[] {
  const found = before.map((finding) => {
    const left = after.find((candidate) => same(candidate, finding));
    return diagnosed(left ?? finding, left === undefined);
  });
  const added = after.filter((finding) => !before.some((candidate) => same(candidate, finding)));
  return [...found, ...added.map((finding) => diagnosed(finding, false))];
}

export const unrepaired = (findings: readonly Finding[]): Diagnosis[] =>
  findings.map((finding) => diagnosed(finding, false));
