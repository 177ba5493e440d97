// Room: scripts. Owns the writing of the API's document to docs/openapi.json, where a test compares it.
import { join } from "node:path";
import { openApiDocument } from "../src/api/http/v1/openapi.ts";

await Bun.write(join(import.meta.dir, "../docs/openapi.json"), `${JSON.stringify(await openApiDocument(), null, 2)}\n`);
