// Room: api. Owns signing in, with a token or with the link that `snapmill sign-in` and `up` print, and signing out.
/** @jsxImportSource hono/jsx */
import type { Context, Hono } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import { dashboardToken } from "../../../domain/callers.ts";
import type { SignInLinks } from "../../../service/sign-in-links.ts";
import { isOriginOf } from "../protection.ts";
import { Problem } from "../v1/problems.ts";
import { asPage, Document } from "./document.tsx";
import { formOf } from "./form-body.ts";
import { Sign } from "./sign.tsx";
import {
  cookieNameOf,
  type EntranceOptions,
  onlySignedIn,
  requireOwnRequest,
  sessionIn,
  type ViewerEnv,
} from "./viewer.ts";

export interface SignInOptions extends EntranceOptions {
  readonly links: SignInLinks;
}

/** A path of these pages, and nothing that leads elsewhere, as `//host` does, also where `/.//host` becomes it. */
export function ownPath(text: string | null | undefined): string {
  const base = "http://own.invalid";
  const url = text?.startsWith("/") ? URL.parse(text, base) : null;
  if (url === null || url.origin !== base || url.pathname.startsWith("//")) return "/";
  return `${url.pathname}${url.search}`;
}

const SignIn = ({ to, trouble }: { readonly to: string; readonly trouble?: string | undefined }) => (
  <Document title="Sign in">
    <main id="main">
      <h1>Sign in to snapmill</h1>
      {trouble === undefined ? null : (
        <p role="alert" class="flash failed">
          <Sign of="bad" /> {trouble}
        </p>
      )}
      <form method="post" action="/sign-in" class="sign-in">
        <label>
          Token
          <input type="password" name="token" required autocomplete="current-password" maxlength={1024} />
        </label>
        <input type="hidden" name="to" value={to} />
        <button type="submit">Sign in</button>
      </form>
      <p>
        On its host, <code>snapmill sign-in</code> prints a link that signs in once, and <code>snapmill up</code> the
        name of the file with a token. <code>snapmill token create NAME --role read</code> makes a token that looks, and
        changes nothing.
      </p>
    </main>
  </Document>
);

export const signInPage = (to: string, status = 200, trouble?: string, headers?: Record<string, string>) =>
  asPage(<SignIn to={to} trouble={trouble} />, { status, ...(headers && { headers }) });

export function serveSignIn(app: Hono<ViewerEnv>, options: SignInOptions): void {
  const { gate, sessions, links, isSecure } = options;
  const name = cookieNameOf(sessions, isSecure);
  const flags = { path: "/", httpOnly: true, sameSite: "Strict", secure: isSecure } as const;

  const begin = (context: Context, tokenName: string, to: string): Response => {
    const session = sessions.begin(tokenName);
    if (session === undefined) throw new Problem("unauthenticated", `there is no token ${tokenName} any more`);
    setCookie(context, name, session.text, { ...flags, maxAge: session.maxAgeSeconds });
    return context.redirect(to, 303);
  };

  app.get("/sign-in", async (context) => {
    const code = context.req.query("code");
    const to = ownPath(context.req.query("to"));
    if (code === undefined) {
      return sessionIn(context, sessions, isSecure) === undefined ? await signInPage(to) : context.redirect(to, 303);
    }
    // The cookie would not be sent with what follows, and the code would be gone.
    requireOwnRequest(context);
    if (links.use(code)) return begin(context, dashboardToken, to);
    const entry = await gate.judge(undefined, context.req.raw, context.env.peer);
    const trouble = "This link was used before, is older than 10 minutes, or is from before a restart: use a token.";
    return await signInPage(to, entry.kind === "too many" ? 429 : 401, trouble);
  });

  app.post("/sign-in", async (context) => {
    requireOwnForm(context);
    const form = await formOf(context.req.raw);
    const to = ownPath(form.get("to"));
    const admission = gate.recognise(form.get("token")?.trim() ?? "");
    const entry = await gate.judge(admission, context.req.raw, context.env.peer);
    switch (entry.kind) {
      case "in":
        return begin(context, entry.admission.caller.tokenName, to);
      case "no token":
        return await signInPage(to, 401, "There is no such token, or it has expired or was revoked.");
      case "too many":
        return await signInPage(to, 429, "Too many have tried: wait a moment, and try again.", {
          "retry-after": String(entry.retryAfterSeconds),
        });
    }
  });

  app.post("/sign-out", onlySignedIn(options), async (context) => {
    const form = await formOf(context.req.raw);
    const { session } = context.get("viewer");
    if (!sessions.isSignature(form.get("seal") ?? "", "form", session, "sign-out")) {
      throw new Problem("forbidden", "the form was not made for this session");
    }
    deleteCookie(context, name, flags);
    return context.redirect("/sign-in", 303);
  });
}

/** Without a session yet: over plain HTTP from another machine, a browser names its site in Origin alone. */
function requireOwnForm(context: Context): void {
  const site = context.req.header("sec-fetch-site");
  const origin = context.req.header("origin");
  const isOwn = origin === undefined || isOriginOf(origin, context.req.header("host"));
  if (isOwn && (site === "same-origin" || (site === undefined && origin !== undefined))) return;
  throw new Problem("forbidden", "the form comes from a page of another site");
}
