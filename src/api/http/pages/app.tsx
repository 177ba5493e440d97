// Room: api. Owns the routes of the pages: each of the registry under its address, forms, signing in, and errors.
/** @jsxImportSource hono/jsx */
import { type Context, Hono } from "hono";
import type { Logger } from "pino";
import type { AuditLog } from "../../../service/audit-log.ts";
import type { Host } from "../../../service/host.ts";
import type { SignInLinks } from "../../../service/sign-in-links.ts";
import { isReading } from "../protection.ts";
import { requireRole } from "../v1/caller.ts";
import { kindOf, Problem } from "../v1/problems.ts";
import { serveAssets } from "./assets.ts";
import { doAction } from "./do.ts";
import { asPage, Document } from "./document.tsx";
import { asDownload } from "./download.ts";
import { setFlash, takeFlash } from "./flash.ts";
import { formOf } from "./form-body.ts";
import { Frame } from "./frame.tsx";
import { answerChanges } from "./live.ts";
import { type Page, roleFor } from "./page.ts";
import { downloads, firstPath, pages } from "./pages.ts";
import { ProblemText, shownProblem } from "./problem-page.tsx";
import { ownPath, serveSignIn, signInPage } from "./sign-in.tsx";
import { readVerdict } from "./verdict.tsx";
import { View } from "./view.ts";
import { type EntranceOptions, onlySignedIn, sessionIn, type ViewerEnv } from "./viewer.ts";

export interface PagesOptions extends EntranceOptions {
  readonly host: Host;
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly links: SignInLinks;
}

export function pagesApp(options: PagesOptions): Hono<ViewerEnv> {
  const { sessions, isSecure, host } = options;
  const app = new Hono<ViewerEnv>();
  app.onError((error, context) => problemAnswer(error, context, options));
  serveAssets(app as unknown as Hono);
  serveSignIn(app, options);
  const signedIn = onlySignedIn(options);
  for (const page of pages) {
    app.get(page.path, signedIn, async (context) => {
      requireRole(context.get("viewer"), roleFor(page));
      const view = viewOf(context, options);
      view.requirePool();
      const verdict = readVerdict(view);
      const { heading = page.title, body } = await page.show(view);
      return await framed(context, options, { view, page, heading, body, verdict });
    });
  }
  for (const { path, reads, make } of downloads) {
    app.get(path, signedIn, async (context) => {
      requireRole(context.get("viewer"), roleFor({ reads }));
      return asDownload(await make(viewOf(context, options)));
    });
  }
  app.get("/events", signedIn, (context) => answerChanges(context, host, options.gate.streams));
  if (firstPath(host) !== "/") app.get("/", signedIn, (context) => context.redirect(firstPath(host), 303));
  app.post("/do/:operation", signedIn, async (context) => {
    const form = await formOf(context.req.raw);
    const { flash, shown, leadsTo } = await doAction(context, form, options);
    setFlash(context, { sessions, session: context.get("viewer").session, isSecure }, flash);
    return context.redirect(withOperation(ownPath(leadsTo ?? form.get("back")), shown), 303);
  });
  return app;
}

function withOperation(path: string, shown: string | undefined): string {
  if (shown === undefined) return path;
  const [before = "", query = ""] = path.split("?");
  const given = new URLSearchParams(query);
  given.set("operation", shown);
  return `${before}?${given.toString()}`;
}

const viewOf = (context: Context<ViewerEnv>, { host, sessions }: PagesOptions): View =>
  new View({
    host,
    sessions,
    viewer: context.get("viewer"),
    url: new URL(context.req.url),
    params: context.req.param() as Record<string, string>,
  });

interface Framed {
  readonly view: View;
  readonly page?: Page;
  readonly heading: string;
  readonly body: Parameters<typeof Frame>[0]["children"];
  readonly status?: number;
  readonly verdict?: ReturnType<typeof readVerdict>;
}

async function framed(
  context: Context<ViewerEnv>,
  { sessions, isSecure }: PagesOptions,
  { view, page, heading, body, status = 200, verdict = readVerdict(view) }: Framed,
): Promise<Response> {
  const flash = takeFlash(context, { sessions, session: view.viewer.session, isSecure });
  const answer = await asPage(
    <Frame view={view} pages={pages} page={page} heading={heading} verdict={await verdict} flash={flash}>
      {body}
    </Frame>,
    { status },
  );
  return context.newResponse(answer.body, answer);
}

/** In the frame, for whoever is signed in; of others, a person is led to signing in, and a program told so. */
export async function problemAnswer(
  error: unknown,
  context: Context<ViewerEnv>,
  options: PagesOptions,
): Promise<Response> {
  const problem = shownProblem(error);
  const { path } = context.req;
  const viewer = context.get("viewer") as ViewerEnv["Variables"]["viewer"] | undefined;
  if (kindOf(error) === "internal")
    options.log.error({ err: error, path, requestId: viewer?.requestId }, "a page failed");
  if (problem.kind === "unauthenticated") return await toSignIn(context, problem.detail);
  const url = new URL(context.req.url);
  const isFromElsewhere =
    isReading(context) && !["same-origin", "none", undefined].includes(context.req.header("sec-fetch-site"));
  const again = isFromElsewhere ? ownPath(`${url.pathname}${url.search}`) : undefined;
  const text = <ProblemText problem={problem} again={again} requestId={viewer?.requestId} />;
  if (viewer === undefined || isFromElsewhere) {
    const bare = (
      <Document title={problem.title}>
        <main id="main">
          <h1>{problem.title}</h1>
          {text}
        </main>
      </Document>
    );
    return await asPage(bare, { status: problem.status });
  }
  const view = viewOf(context, options);
  return await framed(context, options, { view, heading: problem.title, body: text, status: problem.status });
}

async function toSignIn(context: Context, trouble: string): Promise<Response> {
  const url = new URL(context.req.url);
  if (!isReading(context)) return await signInPage("/", 401, `Nothing was done: ${trouble}.`);
  if (!wantsPage(context)) return context.text("refused: sign in at /sign-in\n", 401);
  const to = `${url.pathname}${url.search}`;
  return context.redirect(to === "/" ? "/sign-in" : `/sign-in?${new URLSearchParams({ to }).toString()}`, 303);
}

/** Whether a browser asks, for a person. */
const wantsPage = (context: Context): boolean =>
  isReading(context) &&
  context.req.header("authorization") === undefined &&
  (context.req.header("accept") ?? "").includes("text/html");

/** For an address that nothing else has answered; undefined: it is not for a person, or not for one who is signed in. */
export async function noSuchPage(context: Context<ViewerEnv>, options: PagesOptions): Promise<Response | undefined> {
  const isSignedIn = sessionIn(context, options.sessions, options.isSecure) !== undefined;
  if (!isSignedIn && !wantsPage(context)) return undefined;
  const answer = onlySignedIn(options)(context, () => {
    throw new Problem("no_such_route", `there is no page ${context.req.path}`);
  });
  return (await Promise.resolve(answer).catch((error: unknown) => problemAnswer(error, context, options))) as Response;
}
