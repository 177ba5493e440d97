// Room: api. Owns what a page is: an address, what it reads, and how that is shown.
import type { Child } from "hono/jsx";
import { mayDo, type Role } from "../../../domain/callers.ts";
import type { OperationName } from "../../../service/api.ts";
import { type Endpoint, endpoints } from "../v1/endpoints.ts";
import type { View } from "./view.ts";

export interface Page {
  /** As hono has it: `/pools/:pool/snapshots`. */
  readonly path: `/${string}`;
  /** In the navigation, and the page's heading unless it has one of its own. */
  readonly title: string;
  /** What it shows, in one sentence without its full stop: for the navigation and docs/DASHBOARD.md. */
  readonly about: string;
  /** `link`: reached from other pages. */
  readonly place: "navigation" | "link";
  /** The operations whose answers it shows. Whoever may not run one of them does not see the page. */
  readonly reads: readonly OperationName[];
  /** `seconds`: also while no database changes, as the progress of unpacks does not. Default: `changes`. */
  readonly follows?: "changes" | "seconds";
  readonly show: (view: View) => Shown | Promise<Shown>;
}

export interface Shown {
  readonly heading?: string;
  readonly body: Child;
}

/** The least role that sees a page. */
export const roleFor = ({ reads }: Pick<Page, "reads">): Role =>
  reads.every((name) => (endpoints[name] as Endpoint).role === "read") ? "read" : "operate";

export const maySee = (role: Role, page: Pick<Page, "reads">): boolean => mayDo(role, roleFor(page));
