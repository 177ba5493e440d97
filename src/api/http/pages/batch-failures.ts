// Room: api. Owns a batch's failures as CSV.
import { sharesOf } from "./batch-grid.ts";
import { csv, type Download } from "./download.ts";

const head = ["pool", "reference", "platform", "attempts", "code", "stage", "message", "ended", "operation"] as const;

export const batchFailures: Download = {
  path: "/pools/:pool/batches/:batch/failures.csv",
  reads: ["batch", "listBatchItems"],
  make: async (view) => {
    const shares = await sharesOf(view, view.param("batch"));
    const rows = shares.flatMap(({ pool, items }) =>
      items
        .filter(({ state }) => state === "failed")
        .map(({ reference, platform, attempts, failure, endedAtMs, operationId }) => [
          pool,
          reference,
          platform,
          attempts,
          failure?.code ?? "",
          failure?.stage ?? "",
          failure?.message ?? "",
          endedAtMs === undefined ? "" : new Date(endedAtMs).toISOString(),
          operationId ?? "",
        ]),
    );
    return { name: `${view.param("batch")}-failures.csv`, type: "text/csv", text: csv([head, ...rows]) };
  },
};
