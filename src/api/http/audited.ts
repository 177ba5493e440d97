// Room: api. Owns what of a request goes into the audit log, and when: before its effect, or as refused.
import type { Caller } from "../../domain/callers.ts";
import type { AskedChange, AuditEntry, AuditLog, Outcome } from "../../service/audit-log.ts";

export type ChangeRequest = Omit<AskedChange, "given" | "operationId" | "caller">;

/** One change that was asked for: begun at most once, and in the log once in any case. */
export class ChangeRecord {
  readonly #log: AuditLog;
  readonly #caller: Caller;
  #asked: ChangeRequest;
  #entry: AuditEntry | undefined;

  constructor(log: AuditLog, { tokenName, role }: Caller, asked: ChangeRequest) {
    this.#log = log;
    this.#caller = { tokenName, role };
    this.#asked = asked;
  }

  /** What becomes known of it on the way. */
  note(more: Partial<ChangeRequest>): void {
    this.#asked = { ...this.#asked, ...more };
  }

  /** Runs the effect, in the log before and after. Throws unavailable, without an effect, if it cannot be recorded. */
  async around<T>(
    { given, operationId }: Pick<AskedChange, "given" | "operationId">,
    effect: () => T | Promise<T>,
    outcomeOf: (outcome: { readonly error: unknown } | { readonly answer: T }) => Outcome,
  ): Promise<T> {
    const reason = this.#asked.reason ?? reasonIn(given);
    const entry = this.#log.begin({ ...this.#asked, reason, caller: this.#caller, given, operationId });
    this.#entry = entry;
    try {
      const answer = await effect();
      entry.end(outcomeOf({ answer }));
      return answer;
    } catch (error) {
      entry.end(outcomeOf({ error }));
      throw error;
    }
  }

  /** The request was answered. Of one whose effect was begun, the effect's own end counts. */
  answered(outcome: Outcome): void {
    if (this.#entry !== undefined) return;
    const operationId = outcome.operationId;
    this.#log.refuse({ ...this.#asked, caller: this.#caller, given: undefined, operationId }, outcome);
  }
}

/** Some operations have a reason of their own: of a hold, of a discarded removal. */
const reasonIn = (given: unknown): string | undefined =>
  typeof given === "object" && given !== null && "reason" in given && typeof given.reason === "string"
    ? given.reason
    : undefined;
