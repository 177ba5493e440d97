// Room: test. Owns a visitor of the pages without a browser: keeps cookies, follows forms, and says where requests come from.

export interface Visited {
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
}

/** One that is sent several times has a list. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

export interface Form {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
}

const entities: Readonly<Record<string, string>> = {
  "&quot;": '"',
  "&#39;": "'",
  "&lt;": "<",
  "&gt;": ">",
  "&amp;": "&",
};
export const unescaped = (html: string): string =>
  html.replace(/&(quot|#39|lt|gt|amp);/g, (found) => entities[found] ?? found);

/** The text of a page without its tags. */
export const textOf = (html: string): string => unescaped(html.replace(/<[^>]*>/g, " ")).replace(/\s+/g, " ");

const sameOrigin = { "sec-fetch-site": "same-origin", accept: "text/html" };

export class Visitor {
  readonly #url: () => string;
  readonly cookies = new Map<string, string>();

  constructor(url: () => string) {
    this.#url = url;
  }

  /** One request, as a browser sends it from a page of this server; `headers` replace those. */
  async send(
    path: string,
    { headers, ...init }: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const sent = { ...sameOrigin, ...(cookie !== "" && { cookie }), ...headers };
    const given = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== "-"));
    const answer = await fetch(this.#url() + path, { redirect: "manual", headers: given, ...init });
    for (const line of answer.headers.getSetCookie()) this.#keep(line);
    return answer;
  }

  #keep(line: string): void {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
    if (/max-age=0/i.test(line)) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }

  /** A page, with redirects followed. */
  async visit(path: string, headers?: Record<string, string>): Promise<Visited> {
    let answer = await this.send(path, headers && { headers });
    for (let left = 5; left > 0 && answer.status === 303; left -= 1) {
      answer = await this.send(answer.headers.get("location") ?? "", headers && { headers });
    }
    return { status: answer.status, headers: answer.headers, html: await answer.text() };
  }

  post(path: string, fields: Fields, headers: Record<string, string> = {}) {
    const pairs = Object.entries(fields).flatMap(([name, values]) =>
      [values].flat().map((value): [string, string] => [name, value]),
    );
    const body = new URLSearchParams(pairs).toString();
    const type = { "content-type": "application/x-www-form-urlencoded" };
    return this.send(path, { method: "POST", headers: { ...type, ...headers }, body });
  }

  /** Sends a form and follows where it leads. */
  async submit({ action, fields }: Form, more: Fields = {}): Promise<Visited> {
    const answer = await this.post(action, { ...fields, ...more });
    if (answer.status === 303) return await this.visit(answer.headers.get("location") ?? "");
    return { status: answer.status, headers: answer.headers, html: await answer.text() };
  }

  async signIn(token: string): Promise<number> {
    return (await this.post("/sign-in", { token, to: "/" })).status;
  }
}

/** What a component draws. */
export const htmlOf = (drawn: { toString(): string | Promise<string> }): string => drawn.toString() as string;

/** The forms of a page that are sent by POST, with what their hidden fields hold. */
export function formsOf(html: string): readonly Form[] {
  return [...html.matchAll(/<form[^>]*method="post"[^>]*action="([^"]*)"[^>]*>(.*?)<\/form>/gs)].map(
    ([, action = "", inner = ""]) => {
      const hidden = [...inner.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
      const fields = Object.fromEntries(hidden.map(([, name = "", value = ""]) => [name, unescaped(value)]));
      return { action, fields };
    },
  );
}

/** The form whose button is labelled `label`. */
export function formWith(html: string, label: string): Form {
  const found = formsOf(html).find(({ fields }) => fields["what"]?.includes(JSON.stringify(label)));
  if (found === undefined) throw new Error(`there is no button ${label} in: ${textOf(html)}`);
  return found;
}
