#!/usr/bin/env bash
# Fails when the protocol (src/api/grpc/*.proto) and the code that `npm run protos` makes of it differ: it is made anew
# elsewhere, and must come out the same. Needs no network and changes nothing.
set -euo pipefail
cd "$(dirname "$0")/../src/api/grpc"

bin=$PWD/../../../node_modules/.bin
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp ./*.proto buf.yaml buf.gen.yaml "$fresh"
(cd "$fresh" && PATH=$bin:$PATH BUF_CACHE_DIR=$fresh/cache buf generate)

if ! diff --recursive --brief generated "$fresh/generated" >&2; then
  echo "the protocol has changed and its code has not: run 'npm run protos' and commit what it makes" >&2
  exit 1
fi
