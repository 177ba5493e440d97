// Room: api. Owns what a sent form does: the operation that its button stands for, on the way that /v1 takes.
import type { Context } from "hono";
import { internal, invalidArgument } from "../../../domain/errors.ts";
import { freshOperationId, type OperationId } from "../../../domain/identifiers.ts";
import { faultsOf } from "../../../domain/parsing.ts";
import { inTime } from "../../../domain/timers.ts";
import { api, type OperationName, runnable } from "../../../service/api.ts";
import type { AuditLog } from "../../../service/audit-log.ts";
import type { Host } from "../../../service/host.ts";
import type { Sessions } from "../../../service/sessions.ts";
import type { Answer } from "../../../service/tracked.ts";
import { ChangeRecord } from "../audited.ts";
import { codeOf } from "../v1/audited.ts";
import { requireRole } from "../v1/caller.ts";
import { beginChange } from "../v1/changes.ts";
import { type Endpoint, endpoints } from "../v1/endpoints.ts";
import { fromQuery, queryKinds } from "../v1/given.ts";
import { kindOf, Problem, problemKinds } from "../v1/problems.ts";
import { targetOf } from "../v1/target.ts";
import type { Flash } from "./flash.ts";
import { decodeAction, type FormAction, fieldName } from "./form-action.ts";
import { wayOutOfFailure } from "./problem-page.tsx";
import type { Viewer, ViewerEnv } from "./viewer.ts";

export interface DoOptions {
  readonly host: Host;
  readonly audit: AuditLog;
  readonly sessions: Sessions;
}

/** What came of a form. */
export interface Done {
  readonly flash: Flash;
  /** The operation that the page is to show. */
  readonly shown: OperationId | undefined;
  /** The page that the action leads to. Null: where the form was. */
  readonly leadsTo: string | null;
}

/** Longer, and the page says that it was begun. A worker that hangs is noticed after ten seconds, and the change taken back. */
const waitsMs = { change: 14_000, long: 8_000 } as const;
const graceSeconds = 15;

/** Does it and says what came of it. Throws for what is refused before it begins; both are in the audit log. */
export async function doAction(context: Context<ViewerEnv>, form: URLSearchParams, options: DoOptions): Promise<Done> {
  const { tokenName, role, requestId } = context.get("viewer");
  const name = nameIn(context.req.param("operation"));
  const { method, path } = context.req;
  const reason = form.get("reason")?.trim() || undefined;
  const asked = { requestId, reason, method, path, operation: name ?? null, pool: null };
  const record = new ChangeRecord(options.audit, { tokenName, role }, asked);
  try {
    if (name === undefined) throw new Problem("no_such_route", "no button leads here");
    return await begin(context, name, { form, reason, record }, options);
  } catch (error) {
    record.answered({ code: codeOf(error), status: problemKinds[kindOf(error)].status });
    throw error;
  }
}

interface Sent {
  readonly form: URLSearchParams;
  readonly reason: string | undefined;
  readonly record: ChangeRecord;
}

async function begin(
  context: Context<ViewerEnv>,
  name: OperationName,
  { form, reason, record }: Sent,
  { host, sessions }: DoOptions,
): Promise<Done> {
  const viewer = context.get("viewer");
  const endpoint: Endpoint = endpoints[name];
  requireRole(viewer, endpoint.role);
  const action = actionIn(form, viewer, sessions);
  if (action.operation !== name) throw new Problem("forbidden", "the form was made for another button");
  record.note({ pool: action.pool });
  if (action.reason === "required" && reason === undefined)
    throw invalidArgument("the form asks for a reason: give one");
  const operation = runnable(name);
  const { target, pool } = targetOf(host, endpoint, action.pool ?? undefined);
  const given = givenBy(action, { form, reason }, operation.input);
  const change = { name, kind: endpoint.kind, operation, target, pool, given };
  const id = freshOperationId();
  const waitMs = endpoint.kind === "long" ? waitsMs.long : waitsMs.change;
  context.env.keepOpen?.(waitMs / 1000 + graceSeconds);
  // Whoever closes the page has pressed the button all the same.
  const begun = beginChange(host, change, { id, isKeyed: false, tokenName: viewer.tokenName, record });
  if (begun.kind !== "begun") throw internal(`the fresh operation ID ${id} was in use`);
  const answer = await inTime(waitMs, begun.tracked.ended);
  const shown = action.isShown ? id : undefined;
  const flash = flashOf(action, id, answer);
  return { flash, shown, leadsTo: flash.kind === "failed" ? null : action.leadsTo };
}

function flashOf({ label }: FormAction, operationId: OperationId, answer: Answer | undefined): Flash {
  if (answer === undefined) return { kind: "begun", sentence: `${label}: begun, and still under way`, operationId };
  if (answer.outcome === "result") return { kind: "done", sentence: `${label}: done`, operationId };
  const { message, code } = answer.failure;
  return { kind: "failed", sentence: `${label}: ${message}`, wayOut: wayOutOfFailure(code), operationId };
}

function actionIn(form: URLSearchParams, viewer: Viewer, sessions: Sessions): FormAction {
  const text = form.get("what") ?? "";
  if (sessions.isSignature(form.get("seal") ?? "", "form", viewer.session, text)) return decodeAction(text);
  throw new Problem("forbidden", "the form was not made for this session, or was changed");
}

/** What the page has chosen, and what the viewer has put into its fields. */
function givenBy(
  { fields, given }: FormAction,
  { form, reason }: Pick<Sent, "form" | "reason">,
  input: ReturnType<typeof runnable>["input"],
) {
  const kinds = queryKinds(input, fields);
  const chosen = fields.flatMap((field): [string, unknown][] => {
    const texts = form.getAll(fieldName(field)).filter((text) => text !== "");
    const kind = kinds.get(field) ?? "text";
    // Of boxes, none that is ticked is sent: left out, a list may mean everything.
    if (kind === "texts") return [[field, texts]];
    const query = new URLSearchParams(texts.map((text): [string, string] => [field, text]));
    return fromQuery(query, field, kind);
  });
  // What keeps a reason of its own (a hold, a removal that is discarded) is not asked for it twice.
  const why = reason !== undefined && "reason" in input.shape ? { reason } : {};
  const parsed = input.safeParse({ ...why, ...Object.fromEntries(chosen), ...given });
  if (!parsed.success) throw invalidArgument(faultsOf(parsed.error.issues), parsed.error);
  return parsed.data;
}

function nameIn(text: string | undefined): OperationName | undefined {
  if (text === undefined || !Object.hasOwn(api, text)) return undefined;
  const { kind }: Endpoint = endpoints[text as OperationName];
  return kind === "change" || kind === "long" ? (text as OperationName) : undefined;
}
