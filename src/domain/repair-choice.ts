// Room: domain. Owns which findings a repair may act on: all that is safe, or those that were chosen by their identities.
import { type Finding, type FindingKind, findingId } from "./findings.ts";

/** Whether a repair may mend this. */
export type RepairChoice = (finding: Pick<Finding, "kind" | "subject">) => boolean;

export const everything: RepairChoice = () => true;

/** Kinds of which the subject is a device: what mends one puts the whole device in order. */
const kindsOfDevices: readonly FindingKind[] = [
  "content-lost",
  "record-without-snapshot",
  "device-without-record",
  "activation-without-device",
  "wrong-activation",
  "stuck-state",
  "faulty-device",
  "removal-pending",
  "removal-given-up",
];

export const choosesDevice = (choice: RepairChoice, subject: string): boolean =>
  kindsOfDevices.some((kind) => choice({ kind, subject }));

/** Those of `found` that a repair mends; `only`: the identities of those that were chosen, default all. */
export const repairablesIn = (found: readonly Finding[], only?: readonly string[]): readonly Finding[] =>
  found.filter((finding) => finding.repairable && (only === undefined || only.includes(findingId(finding))));

/** These, and nothing that another look would find in their place. */
export function choiceOf(findings: readonly Finding[]): RepairChoice {
  const chosen = new Set(findings.map(({ kind, subject }) => `${kind} ${subject}`));
  return ({ kind, subject }) => chosen.has(`${kind} ${subject}`);
}

/** Of those that were asked for by their identities, what could not be repaired from the start. */
export interface PassedOver {
  readonly id: string;
  readonly why: "gone" | "not repairable";
}

export function passedOver(
  found: readonly (Finding & { readonly id: string })[],
  only: readonly string[],
): PassedOver[] {
  const byId = new Map(found.map((finding) => [finding.id, finding]));
  return [...new Set(only)].flatMap((id): PassedOver[] => {
    const finding = byId.get(id);
    if (finding === undefined) return [{ id, why: "gone" }];
    return finding.repairable ? [] : [{ id, why: "not repairable" }];
  });
}

export const passedOverWords = {
  gone: "is not found any more",
  "not repairable": "is not safe to repair, and was left alone",
} as const satisfies Record<PassedOver["why"], string>;
