#!/usr/bin/env bash
# Fetches the guest kernel that run.sh boots, into .tools/guest of this checkout; nothing is installed. Quick when it is
# there already.
#
#   linux.uml         a kernel that runs as an ordinary program (user-mode Linux)
#   wide-xstate.so    what it is preloaded with, built from wide-xstate.c
#   layer/            what the guest has beyond the machine's own files: the kernel's modules, and busybox
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=$PWD/.tools
guest=$tools/guest
log=$tools/setup.log

. scripts/packages.sh
. test/guest/compile.sh

is_complete() { [[ -x $guest/linux.uml ]] && cmp -s test/guest/wide-xstate.c "$guest/wide-xstate.c"; }
if is_complete; then exit; fi

[[ $(uname -m) == x86_64 ]] || fail "the guest kernel (user-mode Linux) exists for amd64 alone, and this is $(uname -m)"
command -v apt-get >/dev/null || fail "the guest kernel comes from Debian's package user-mode-linux, and there is no apt here"

mkdir -p .tools
: >>"$log"
# One set-up at a time: a second one waits, and then finds everything there.
lock_tools
if is_complete; then exit; fi

unpack_kernel() {
  say "unpacking a guest kernel with device-mapper into .tools/guest ..."
  rm -rf "$guest"
  with_apt unpack_packages "$guest/layer" user-mode-linux busybox-static || fail "could not get the guest kernel: see above"
  mkdir -p "$guest/layer/usr/lib/modules"
  mv "$guest"/layer/usr/lib/uml/modules/* "$guest/layer/usr/lib/modules/"
  # The kernel calls it for modules that it misses; many a machine has none.
  ln -sf ../bin/busybox "$guest/layer/usr/sbin/modprobe"
  # Last: where the kernel is, all that comes with it is.
  mv "$guest/layer/usr/bin/linux.uml" "$guest/linux.uml"
}

build_preload() {
  compile "$guest/wide-xstate.so" test/guest/wide-xstate.c || fail "could not build test/guest/wide-xstate.c: see $log"
  cp test/guest/wide-xstate.c "$guest/wide-xstate.c"
}

[[ -x $guest/linux.uml ]] || unpack_kernel
build_preload
