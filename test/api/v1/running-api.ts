// Room: test. Owns a real `up` for tests of /v1, and requests to it with its token.
import { readFileSync } from "node:fs";
import { paths } from "../../../src/config.ts";
import { Place, type Up, urlIn } from "../../supervisor/running-up.ts";

export interface Asked {
  readonly method?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what the server says, whatever its shape.
  readonly body: any;
}

/** Disposing of it ends it, and fails when something of it is left. */
export class RunningApi implements AsyncDisposable {
  readonly place: Place;
  readonly token: string;
  url: string;
  #up: Up;

  private constructor(place: Place, up: Up, url: string) {
    this.place = place;
    this.#up = up;
    this.url = url;
    this.token = readFileSync(paths.httpToken(place.config), "utf8").trim();
  }

  /** `before`: what is to be there when it starts. */
  static async start(settings: Record<string, string> = {}, before?: (place: Place) => void): Promise<RunningApi> {
    const place = new Place(settings);
    before?.(place);
    const up = place.up();
    return new RunningApi(place, up, urlIn(await up.ready()));
  }

  /** A request with the token; `path` begins with /. */
  async ask(path: string, { method = "GET", body, headers = {}, signal }: Asked = {}): Promise<Answer> {
    const answer = await fetch(this.url + path, {
      method,
      redirect: "manual",
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    });
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get("content-type") ?? "");
    return { status: answer.status, headers: answer.headers, body: isJson && text !== "" ? JSON.parse(text) : text };
  }

  /** As the dashboard's pages send it. */
  get asBrowser(): Readonly<Record<string, string>> {
    return { authorization: `Basic ${btoa(`snapmill:${this.token}`)}` };
  }

  /** The same for a path below the pool's. */
  pool(path: string, asked?: Asked): Promise<Answer> {
    return this.ask(`/v1/pools/default${path}`, asked);
  }

  /** Ends it, as an operator does or in another way, and starts it again. */
  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#up.end(signal);
    await this.begin();
  }

  /** Starts it again after its end. */
  async begin(): Promise<void> {
    this.#up = this.place.up();
    this.url = urlIn(await this.#up.ready());
  }

  /** Ends it; returns its log. */
  async end(): Promise<string> {
    await this.#up.end("SIGTERM");
    return await this.#up.stderr;
  }

  get pid(): number {
    return this.#up.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    const left = this.place.residue();
    this.place[Symbol.dispose]();
    if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
  }
}
