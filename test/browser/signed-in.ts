// Room: test. Owns tabs of people who have signed in with a token, by the form.
import type { Cookie } from "playwright-core";
import type { Chromium } from "../support/browser/chromium.ts";
import type { Tab, View } from "../support/browser/tab.ts";

/** Fills in the form and sends it; the tab is then where the form leads. */
export async function signIn({ page }: Tab, token: string): Promise<void> {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Signs in once for each token; every further tab has the cookie. */
export class SignedIn {
  readonly #browser: Chromium;
  readonly #url: string;
  readonly #cookies = new Map<string, readonly Cookie[]>();

  constructor(browser: Chromium, url: string) {
    this.#browser = browser;
    this.#url = url;
  }

  async open(token: string, view: View = {}): Promise<Tab> {
    const cookies = this.#cookies.get(token) ?? (await this.#signIn(token));
    return await this.#browser.open(this.#url, { ...view, cookies });
  }

  async #signIn(token: string): Promise<readonly Cookie[]> {
    await using tab = await this.#browser.open(this.#url);
    await tab.goTo("/sign-in");
    await signIn(tab, token);
    const { page } = tab;
    if (new URL(page.url()).pathname === "/sign-in") {
      throw new Error(`could not sign in: ${(await page.locator("main").textContent()) ?? ""}`);
    }
    const cookies = await tab.cookies();
    this.#cookies.set(token, cookies);
    return cookies;
  }
}
