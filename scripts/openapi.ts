// Room: scripts. Owns the writing of the API's document to docs/openapi.json; with --check, says what to run if it differs.
import { join } from "node:path";
import { openApiDocument } from "../src/api/http/v1/openapi.ts";

const path = join(import.meta.dir, "../docs/openapi.json");
const document = `${JSON.stringify(await openApiDocument(), null, 2)}\n`;
if (!process.argv.includes("--check")) {
  await Bun.write(path, document);
} else if ((await Bun.file(path).text()) !== document) {
  console.error("docs/openapi.json is not the document of this API: run 'npm run openapi' and commit what it makes");
  process.exitCode = 1;
}
