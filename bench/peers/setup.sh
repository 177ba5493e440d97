#!/usr/bin/env bash
# Fetches what the comparison with other unpackers needs: the peers, and the packages that its images are made of. Nothing is
# installed. Prints the directories of the tools' programs, of their libraries, and of the packages' files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bash scripts/setup.sh bench >&2

root=$PWD
. scripts/needs.sh
log=$tools/setup.log
. scripts/packages.sh

# Some have many small files, some few large ones, and each is on a newcomer's list of base images.
names=(clang gcc git golang-go golang-src perl python3-django)
files=$tools/bench-image

# The packages and those that they directly depend on, since several are only names for the newest version.
with_dependencies() {
  apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
    awk '/^[a-z0-9]/ { print $1 } / Depends: [a-z0-9]/ { print $2 }' | grep -vxE 'libc6|libc-bin' | sort -u
}

if [[ ! -e $files.done ]]; then
  say "unpacking into .tools what the images are made of: ${names[*]} ..."
  lock_tools
  rm -rf "$files"
  with_apt apt-cache show "${names[@]}" || fail "the packages ${names[*]} are not known here"
  with_apt unpack_packages "$files" $(with_dependencies "${names[@]}") || fail "could not unpack ${names[*]}: see above"
  touch "$files.done"
  exec 9>&-
fi
architecture=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || basename "$(dirname "$(ls -d /usr/lib/*-linux-gnu*/libc.so.6 | head -n 1)")")
printf '%s\n' "$tools/tree/usr/bin" "$tools/tree/usr/lib/$architecture" "$files"
