// Room: api. Owns the link that signs a browser in once, for who is on this host: on the UNIX socket alone.
import type { Hono } from "hono";
import { localCaller } from "../../domain/callers.ts";
import type { AuditLog } from "../../service/audit-log.ts";
import { type SignInLink, signInLinkPath } from "../../service/sign-in.ts";
import type { SignInLinks } from "../../service/sign-in-links.ts";
import { ChangeRecord } from "./audited.ts";
import { outcomeOf } from "./v1/audited.ts";
import { requestIdOf, type V1Env } from "./v1/caller.ts";

export interface SignInLinkOptions {
  readonly audit: AuditLog;
  readonly links: SignInLinks;
  /** Of the pages: `http://127.0.0.1:7070` */
  readonly url: string;
}

/** The file mode of the socket says who asks: its owner, or root. The link itself is in no log. */
export function serveSignInLink(app: Hono<Pick<V1Env, "Bindings">>, { audit, links, url }: SignInLinkOptions): void {
  app.post(signInLinkPath, async (context) => {
    const { method, path } = context.req;
    const requestId = requestIdOf(context.req.header("x-request-id"));
    const asked = { requestId, reason: undefined, method, path, operation: "signIn", pool: null };
    const record = new ChangeRecord(audit, localCaller, asked);
    const link = await record.around(
      { given: {}, operationId: undefined },
      (): SignInLink => {
        const { code, endsAtMs } = links.make();
        return { address: `${url}/`, link: `${url}/sign-in?code=${code}`, endsAtMs };
      },
      outcomeOf,
    );
    return context.json(link, 201, { "cache-control": "no-store" });
  });
}
