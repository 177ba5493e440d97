// Room: api. Owns the list of pages, in the order of the navigation. To add one: write it, and add its line here.
import type { Host } from "../../../service/host.ts";
import { audit } from "./audit.tsx";
import { batch } from "./batch.tsx";
import { batchFailures } from "./batch-failures.ts";
import { batches } from "./batches.tsx";
import { doctor } from "./doctor.tsx";
import type { Download } from "./download.ts";
import { image } from "./image.tsx";
import { operation } from "./operation.tsx";
import { overview } from "./overview.tsx";
import type { Page } from "./page.ts";
import { pool } from "./pool.tsx";
import { removals } from "./removals.tsx";
import { search } from "./search.tsx";
import { snapshot } from "./snapshot.tsx";
import { snapshots } from "./snapshots.tsx";
import { unpack } from "./unpack.tsx";
import { unpacks } from "./unpacks.tsx";

export const pages: readonly Page[] = [
  overview,
  pool,
  unpacks,
  unpack,
  snapshots,
  snapshot,
  image,
  batches,
  batch,
  removals,
  doctor,
  audit,
  operation,
  search,
];

export const downloads: readonly Download[] = [batchFailures];

/** Where `/` leads. */
export const firstPath = ({ pools }: Pick<Host, "pools">): string => {
  const [first] = pages;
  return first?.path.replace(":pool", [...pools.keys()][0] ?? "") ?? "/";
};
