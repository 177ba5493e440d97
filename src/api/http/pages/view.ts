// Room: api. Owns what a page knows of its request, and the one way by which it reads: operations, in this process.
import { mayDo } from "../../../domain/callers.ts";
import { invalidArgument, notFound } from "../../../domain/errors.ts";
import type { PoolName } from "../../../domain/identifiers.ts";
import { faultsOf } from "../../../domain/parsing.ts";
import { commandOn } from "../../../domain/verdict-trouble.ts";
import { type Input, type ListName, type OperationName, type Output, runnable } from "../../../service/api.ts";
import type { Host } from "../../../service/host.ts";
import type { Sessions } from "../../../service/sessions.ts";
import { listedPage } from "../v1/answers.ts";
import { requireRole } from "../v1/caller.ts";
import { type Endpoint, endpoints } from "../v1/endpoints.ts";
import { pageOf } from "../v1/given.ts";
import { targetOf } from "../v1/target.ts";
import type { Viewer } from "./viewer.ts";

export interface Listed<Item> {
  readonly items: readonly Item[];
  /** The address of the page with the next ones; null: there are none. */
  readonly next: string | null;
}

export interface ViewOptions {
  readonly host: Host;
  readonly sessions: Sessions;
  readonly viewer: Viewer;
  readonly url: URL;
  /** The parts of the path that have a name. */
  readonly params: Readonly<Record<string, string>>;
}

export class View {
  readonly viewer: Viewer;
  readonly url: URL;
  readonly host: Host;
  readonly pools: readonly PoolName[];
  /** What the page is about: of the path, of the query, or the first. */
  readonly pool: string | undefined;
  readonly readAtMs = Date.now();
  readonly #params: Readonly<Record<string, string>>;
  readonly #sessions: Sessions;

  constructor({ host, sessions, viewer, url, params }: ViewOptions) {
    this.host = host;
    this.#sessions = sessions;
    this.viewer = viewer;
    this.url = url;
    this.#params = params;
    this.pools = [...host.pools.keys()];
    this.pool = params["pool"] ?? url.searchParams.get("pool") ?? this.pools[0];
  }

  /** Of links to other pages: the page's, unless none of that name is served here. */
  get servedPool(): string | undefined {
    return this.pools.find((each) => each === this.pool) ?? this.pools[0];
  }

  /** Throws not_found, or invalid_argument, where the path names a pool that is not served here. */
  requirePool(): void {
    const named = this.#params["pool"];
    if (named !== undefined) targetOf(this.host, { path: "/v1/pools/{pool}" }, named);
  }

  /** A part of the path. */
  param(name: string): string {
    const value = this.#params[name];
    if (value === undefined) throw notFound(`the address names no ${name}`);
    return value;
  }

  /** A parameter of the query; "" where it is not there. */
  query(name: string): string {
    return this.url.searchParams.get(name) ?? "";
  }

  /** The address of this page with other parameters; undefined removes one. */
  here(changed: Readonly<Record<string, string | number | undefined>>): string {
    const query = new URLSearchParams(this.url.searchParams);
    for (const [name, value] of Object.entries(changed)) {
      if (value === undefined || value === "") query.delete(name);
      else query.set(name, String(value));
    }
    return query.size === 0 ? this.url.pathname : `${this.url.pathname}?${query.toString()}`;
  }

  /** Of this page's pool: `poolPath("snapshots", { q: "alpine" })`. */
  poolPath(rest: string, query: Readonly<Record<string, string>> = {}): string {
    const path = `/pools/${encodeURIComponent(this.pool ?? "")}/${rest}`;
    const given = new URLSearchParams(query).toString();
    return given === "" ? path : `${path}?${given}`;
  }

  /** At a terminal: `command("rm web-1")` names the pool where it is not the usual one. */
  command(words: string): string {
    return commandOn(this.pool ?? "default", words);
  }

  mayRun(name: OperationName): boolean {
    return mayDo(this.viewer.role, (endpoints[name] as Endpoint).role);
  }

  /** Throws what the operation throws, and a Problem for one that the viewer may not run. `pool`: another than the page's. */
  async read<Name extends Exclude<OperationName, ListName>>(
    name: Name,
    given: Input<Name>,
    pool = this.pool,
  ): Promise<Output<Name>> {
    const { target, operation, parsed } = this.#prepared(name, given, pool);
    return (await operation.run(target, parsed, { signal: this.viewer.signal })) as Output<Name>;
  }

  /** One page of a list, from the query's `cursor` on; `limit` makes it longer or shorter than the API's. */
  async list<Name extends ListName>(
    name: Name,
    given: Input<Name>,
    { limit, pool = this.pool }: { readonly limit?: number; readonly pool?: string | undefined } = {},
  ): Promise<Listed<Output<Name>>> {
    const cursor = this.url.searchParams.get("cursor");
    const { after, limit: usual } = pageOf(new URLSearchParams(cursor === null ? {} : { cursor }));
    const { target, operation, parsed } = this.#prepared(
      name,
      { ...given, ...(after !== undefined && { after }) },
      pool,
    );
    const { run, placeOf = () => "" } = operation;
    const pages = run(target, parsed) as Iterable<readonly unknown[]>;
    const page = { limit: limit ?? usual, after };
    const listed = await listedPage({ pages, placeOf, url: this.url, page, signal: this.viewer.signal });
    return listed as Listed<Output<Name>>;
  }

  /** What shows that a form was made for this session: see form-action.ts. */
  seal(action: string): string {
    return this.#sessions.sign("form", this.viewer.session, action);
  }

  #prepared(name: OperationName, given: object, pool: string | undefined) {
    const endpoint: Endpoint = endpoints[name];
    requireRole(this.viewer, endpoint.role);
    const operation = runnable(name);
    const { target } = targetOf(this.host, endpoint, pool);
    const parsed = operation.input.safeParse(given);
    if (!parsed.success) throw invalidArgument(faultsOf(parsed.error.issues), parsed.error);
    return { target, operation, parsed: parsed.data };
  }
}
