#!/usr/bin/env bash
# Fails when the schema (src/metadata/*schema.ts) and the migrations (drizzle/) differ: drizzle-kit is let loose on a
# copy of the migrations, and must find nothing to add. Needs no network and changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d node_modules/.migrations-XXXXXX)
trap 'rm -rf "$copy"' EXIT
cp -r drizzle/. "$copy"

node_modules/.bin/drizzle-kit generate --dialect sqlite --schema "./src/metadata/*schema.ts" --out "./$copy" >"$copy.log" 2>&1 || {
  cat "$copy.log" >&2
  rm -f "$copy.log"
  exit 1
}
rm -f "$copy.log"

if ! diff --recursive --brief drizzle "$copy" >&2; then
  echo "the schema has changed and its migration is missing: run 'npm run migrations' and commit what it makes" >&2
  exit 1
fi
