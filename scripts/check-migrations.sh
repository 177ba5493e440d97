#!/usr/bin/env bash
# Fails when a schema and its migrations differ (a pool's: src/metadata/*schema.ts and drizzle/; that of `up`:
# src/metadata/service-tables.ts and drizzle/service/): drizzle-kit is let loose on a copy of the migrations, and must find
# nothing to add. Needs no network and changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d node_modules/.migrations-XXXXXX)
trap 'rm -rf "$copy" "$copy.log"' EXIT
cp -r drizzle/. "$copy"

generate() { # SCHEMA FOLDER
  node_modules/.bin/drizzle-kit generate --dialect sqlite --schema "./src/metadata/$1" --out "./$copy/$2" >"$copy.log" 2>&1 || {
    cat "$copy.log" >&2
    exit 1
  }
}
generate "*schema.ts" .
generate service-tables.ts service

if ! diff --recursive --brief drizzle "$copy" >&2; then
  echo "a schema has changed and its migration is missing: run 'npm run migrations' and commit what it makes" >&2
  exit 1
fi
