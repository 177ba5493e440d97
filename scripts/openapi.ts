// Room: scripts. Owns the writing of what is derived from the API: its document, and the client's types; with --check, says
// what to run if they differ.
import { join } from "node:path";
import { openApiDocument } from "../src/api/http/v1/openapi.ts";
import { clientTypes } from "./client-types.ts";

const root = join(import.meta.dir, "..");
const derived = {
  "docs/openapi.json": `${JSON.stringify(await openApiDocument(), null, 2)}\n`,
  "src/client/generated/snapmill.d.ts": await clientTypes(),
};

for (const [path, text] of Object.entries(derived)) {
  const file = Bun.file(join(root, path));
  if (!process.argv.includes("--check")) {
    await Bun.write(file, text);
  } else if (!(await file.exists()) || (await file.text()) !== text) {
    console.error(`${path} is not what this API makes: run 'npm run openapi' and commit what it makes`);
    process.exitCode = 1;
  }
}
