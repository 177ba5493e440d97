import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./src/metadata/service-tables.ts",
  out: "./drizzle/service",
});
