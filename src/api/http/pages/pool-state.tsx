// Room: api. Owns the state of a pool in a word and a sign: whether it works, is held, or cannot be used.
/** @jsxImportSource hono/jsx */
import { isHeldReason } from "../../../domain/queues.ts";
import type { Output } from "../../../service/api.ts";
import { Sign, type SignKind } from "./sign.tsx";

type Status = Output<"status">;

interface State {
  readonly sign: SignKind;
  readonly text: string;
}

const poolStates: Readonly<Record<string, State>> = {
  ro: { sign: "bad", text: "read-only" },
  failed: { sign: "bad", text: "failed" },
  needs_check: { sign: "bad", text: "needs a check" },
  out_of_data_space: { sign: "bad", text: "full" },
};

/** The worst of what is known of it. */
export function stateOf({ metadata, readiness }: Pick<Status, "metadata" | "readiness">): State {
  if (metadata === null || metadata.driver === null) return { sign: "none", text: "not made yet" };
  const trouble = poolStates[metadata.poolState ?? ""];
  if (trouble !== undefined) return trouble;
  if (metadata.space === null) return { sign: "bad", text: "not attached" };
  if (readiness === null || !(readiness.ok || isOnlyHeld(readiness))) return { sign: "bad", text: "not ready" };
  if (metadata.hold !== null) return { sign: "warn", text: metadata.hold.kind };
  return { sign: "good", text: "in service" };
}

/** A pool whose unpacks are held, or were a second ago, is not ready for that alone. */
const isOnlyHeld = ({ parts }: NonNullable<Status["readiness"]>): boolean =>
  Object.values(parts).every((reasons) => reasons.every(isHeldReason));

export const StateSign = ({ status }: { readonly status: Pick<Status, "metadata" | "readiness"> }) => {
  const { sign, text } = stateOf(status);
  return <Sign of={sign}>{text}</Sign>;
};
