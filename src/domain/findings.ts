// Room: domain. Owns what doctor can find in a pool, and how two looks at one are compared.

export const findingKinds = [
  /** The pool as a whole: read-only, failed, needs_check, full; missing; or something keeps it from being opened. */
  "pool-state",
  /** A metadata snapshot is held, by a program that reads the pool or one that died. */
  "metadata-snapshot-held",
  /** Nothing runs, but something of the pool is attached to the host: a loop device, a mount, an active device. */
  "left-attached",
  /** A record whose device has no content in the pool. */
  "content-lost",
  /** A record whose device is in the pool, and no snapshot is on it. */
  "record-without-snapshot",
  /** A device in the pool that no record knows. */
  "device-without-record",
  /** Something of a device is active, or its path stands around, and neither pool nor record has it. */
  "activation-without-device",
  /** A device is not active, and should be; or is, and should not be. */
  "wrong-activation",
  /** A device's record is half-way, with nobody at work on it, or says another state than it should be in. */
  "stuck-state",
  "faulty-device",
  /** An operation that began and was never answered. */
  "interrupted-operation",
  /** An active snapshot of an unpack whose process is gone. */
  "dead-unpack",
  /** A device ID in use that is down as free. */
  "free-id-in-use",
  /** A removal that has been tried for long, and not yet given up. */
  "removal-pending",
  "removal-given-up",
  /** A failed job that no snapmill can have written. */
  "damaged-job",
  /** An accepted unpack that has not ended for long. */
  "unpack-pending",
  /** A record that cannot be read. */
  "damaged-record",
  /** An operation that killed its worker again and again, and is executed no more. */
  "operation-set-aside",
] as const;
export type FindingKind = (typeof findingKinds)[number];

/** One thing that is not in order. */
export interface Finding {
  readonly kind: FindingKind;
  /** What it is about: a device's name or ID, an operation's ID, a path, the pool. With the kind, it names the finding. */
  readonly subject: string;
  /** A full sentence, without its full stop. */
  readonly sentence: string;
  /** What repair does about it, or, where it must leave it, what can be done by hand. */
  readonly wayOut: string;
}

/** A finding, and whether it is gone: a second look after the repair no longer finds it. */
export interface Diagnosis extends Finding {
  readonly repaired: boolean;
}

const same = (one: Finding, other: Finding): boolean => one.kind === other.kind && one.subject === other.subject;

/** What is left is told as the second look found it; what only that one found comes last. */
export function compareLooks(before: readonly Finding[], after: readonly Finding[]): Diagnosis[] {
  const found = before.map((finding) => {
    const left = after.find((candidate) => same(candidate, finding));
    return { ...(left ?? finding), repaired: left === undefined };
  });
  const added = after.filter((finding) => !before.some((candidate) => same(candidate, finding)));
  return [...found, ...added.map((finding) => ({ ...finding, repaired: false }))];
}

export const unrepaired = (findings: readonly Finding[]): Diagnosis[] =>
  findings.map((finding) => ({ ...finding, repaired: false }));
