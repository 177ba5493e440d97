// Room: test. Owns a tab of the browser, and what went wrong in it: errors, violations of the CSP, requests to elsewhere.
import { join } from "node:path";
import type { Browser, BrowserContext, ConsoleMessage, Cookie, Page, Request } from "playwright-core";
import { accessibilityFaults } from "./accessibility.ts";
import { keyboardFaults } from "./keyboard.ts";

export interface View {
  /** Default: light. */
  readonly theme?: "light" | "dark";
  /** In CSS pixels. Default: 1280. */
  readonly width?: number;
  /** Default: 900. */
  readonly height?: number;
  /** False: the page's scripts do not run. */
  readonly script?: boolean;
  /** By HTTP basic authentication, sent with every request. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** As another tab has them: whoever is signed in there is signed in here. */
  readonly cookies?: readonly Cookie[];
}

/** Runs in every page before any script of its own, and reports violations of the CSP on the console. */
const inPage = { path: join(import.meta.dir, "in-page.js") };

/** Disposing of it closes it. */
export class Tab implements AsyncDisposable {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly #troubles = new Set<string>();
  readonly #requests: URL[] = [];
  #clicks = 0;

  private constructor(context: BrowserContext, page: Page, baseUrl: string) {
    this.#context = context;
    this.page = page;
    const home = new URL(baseUrl).origin;
    page.on("console", (message) => this.#noteMessage(message));
    page.on("pageerror", (error) => this.#troubles.add(`the page's script threw ${error.message}`));
    page.on("websocket", (socket) => this.#troubles.add(`the page opened ${socket.url()}`));
    context.on("request", (request) => this.#noteRequest(request, home));
  }

  static async open(browser: Browser, baseUrl: string, view: View): Promise<Tab> {
    const context = await browser.newContext({
      baseURL: baseUrl,
      colorScheme: view.theme ?? "light",
      viewport: { width: view.width ?? 1280, height: view.height ?? 900 },
      javaScriptEnabled: view.script ?? true,
      reducedMotion: "reduce",
      acceptDownloads: false,
      locale: "en-GB",
      ...(view.credentials && { httpCredentials: { ...view.credentials, send: "always" } }),
      timezoneId: "UTC",
    });
    await context.addInitScript(inPage);
    await context.addCookies(view.cookies ?? []);
    context.setDefaultTimeout(20_000);
    return new Tab(context, await context.newPage(), baseUrl);
  }

  /** Goes to a path; returns the status of the answer. */
  async goTo(path: string): Promise<number> {
    const response = await this.page.goto(path);
    return response?.status() ?? 0;
  }

  /** Where requests went so far, the page's own included. */
  get requests(): readonly URL[] {
    return this.#requests;
  }

  /** How often something was pressed since the tab was opened, by mouse or by keyboard, while scripts run. */
  get clicks(): number {
    return this.#clicks;
  }

  async cookies(): Promise<readonly Cookie[]> {
    return await this.#context.cookies();
  }

  /** One sentence for each thing that went wrong since the tab was opened; empty when all is well. */
  troubles(): readonly string[] {
    return [...this.#troubles];
  }

  /** One sentence for each fault that keeps people out of the page as it is now (WCAG 2.1 A and AA). */
  async accessibilityFaults(): Promise<readonly string[]> {
    return await accessibilityFaults(this.page);
  }

  /** One sentence for each thing in the page, freshly loaded, that cannot be used without a mouse. */
  async keyboardFaults(): Promise<readonly string[]> {
    return await keyboardFaults(this.page);
  }

  /** Shows the page as it is in another light or on another screen. */
  async look({ theme, width = 1280, height = 900 }: Pick<View, "theme" | "width" | "height">): Promise<void> {
    await this.page.emulateMedia({ colorScheme: theme ?? "light" });
    await this.page.setViewportSize({ width, height });
  }

  /** Opens whatever is folded, also what would close when another opens. */
  async unfold(): Promise<void> {
    await this.page.evaluate(
      "document.querySelectorAll('details').forEach((each) => { each.removeAttribute('name'); each.open = true; })",
    );
  }

  /** How many pixels the page is wider than the window: 0 when nobody has to scroll sideways. */
  async overhang(): Promise<number> {
    const [content, window] = await Promise.all(
      ["scrollWidth", "clientWidth"].map((width) => this.page.evaluate<number>(`document.documentElement.${width}`)),
    );
    return (content ?? Number.NaN) - (window ?? Number.NaN);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
  }

  #noteMessage(message: ConsoleMessage): void {
    if (message.type() === "debug" && message.text() === "a click") this.#clicks += 1;
    if (message.type() !== "error" && message.type() !== "warning") return;
    this.#troubles.add(`${message.type()} on the console: ${message.text()}`);
  }

  #noteRequest(request: Request, home: string): void {
    const url = new URL(request.url());
    this.#requests.push(url);
    const isInside = url.origin === home || url.protocol === "data:" || url.protocol === "blob:";
    if (!isInside) this.#troubles.add(`the page asked ${url.href}`);
  }
}
