// Owns the growth of a pool under a running worker, as the command line asks for it.
import { statSync } from "node:fs";
import { join } from "node:path";
import { withFaultPoints } from "../../src/drivers/devicemapper/control/fault-points.ts";
import { readDefinition } from "../../src/drivers/devicemapper/pool/definition.ts";
import { loadThinPool } from "../../src/drivers/devicemapper/pool/thin-pool.ts";
import { connectControl, type PoolPlace, poolDirectory } from "./pool.ts";

/** The size of the data file, which grows first. */
export const dataBytesOf = (place: PoolPlace): number => statSync(join(poolDirectory(place), "data.img")).size;

/** Grows the pool to `dataBytes` of data; returns how many bytes it has afterwards. */
export async function growTo(place: PoolPlace, dataBytes: number): Promise<number> {
  await using control = withFaultPoints(connectControl(place));
  const poolDir = poolDirectory(place);
  const definition = await readDefinition(poolDir);
  if (definition === undefined) throw new Error(`no pool is defined in ${poolDir}`);
  const pool = await loadThinPool({ control, definition, poolDir });
  await pool.grow({ dataBytes });
  const { totalDataBlocks } = await pool.status();
  return totalDataBlocks * definition.blockSectors * 512;
}
