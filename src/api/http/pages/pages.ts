// Room: api. Owns the list of pages, in the order of the navigation. To add one: write it, and add its line here.
import type { Host } from "../../../service/host.ts";
import type { Page } from "./page.ts";
import { search } from "./search.tsx";
import { snapshot } from "./snapshot.tsx";
import { snapshots } from "./snapshots.tsx";

export const pages: readonly Page[] = [snapshots, snapshot, search];

/** Where `/` leads. */
export const firstPath = ({ pools }: Pick<Host, "pools">): string => {
  const [first] = pages;
  return first?.path.replace(":pool", [...pools.keys()][0] ?? "") ?? "/";
};
