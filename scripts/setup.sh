#!/usr/bin/env bash
# Makes sure of everything that snapmill needs, then runs a program of it:
#
#   scripts/setup.sh run [SCRIPT ARGS...]     what snapmill itself needs
#   scripts/setup.sh test [SCRIPT ARGS...]    and what its tests need
#
# Starts from node and npm on Debian or Ubuntu; where something is missing, it needs root and apt. Quick when all is
# there. What only makes file systems is installed; what could disturb the machine (redis-server would start a service)
# or is needed by tests alone is unpacked into .tools/ of this checkout, and found there through PATH.
set -euo pipefail

# npm goes to the checkout before it runs a script; paths on the command line are meant from where the user is.
start=${INIT_CWD:-$PWD}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
tools=$root/.tools
log=$tools/setup.log
export PATH=$tools/bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { echo "snapmill: $*" >&2; }
fail() { say "$*"; exit 1; }

# command:package
system_tools=(mkfs.ext4:e2fsprogs e2fsck:e2fsprogs resize2fs:e2fsprogs mkfs.xfs:xfsprogs setpriv:util-linux mount:mount)
private_tools=(redis-server:redis-server)

purpose=${1:-}
case $purpose in
  run) ;;
  test) private_tools+=(umoci:umoci skopeo:skopeo python3:python3) ;;
  *) fail "usage: scripts/setup.sh run|test [SCRIPT ARGS...]" ;;
esac
shift

# Of the given command:package pairs the packages whose command is not found, each once.
missing_packages() {
  local pair seen=' '
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null && continue
    [[ $seen == *" ${pair#*:} "* ]] && continue
    seen+="${pair#*:} "
    echo "${pair#*:}"
  done
}

# Runs a step with its output in the log; shows the beginning of it when the step fails.
quietly() {
  local begin; begin=$(wc -l <"$log")
  "$@" >>"$log" 2>&1 </dev/null && return
  tail -n "+$((begin + 1))" "$log" | head -n 12 | sed 's/^/  /' >&2
  say "(all of it: $log)"
  return 1
}

apt() {
  env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# A package list that is empty or out of date is brought up to date, once, when a step could not do without.
lists_are_fresh=
with_apt() {
  "$@" >>"$log" 2>&1 </dev/null && return
  if [[ -z $lists_are_fresh ]]; then
    lists_are_fresh=yes
    say "updating the package lists ..."
    quietly apt update || true
  fi
  quietly "$@"
}

install_system_tools() {
  say "installing $* ..."
  with_apt apt install --no-install-recommends "$@" || fail "could not install $*: see above"
}

# Downloads a package, and what it depends on that the machine lacks, and unpacks them: no script of theirs is run.
# The C library is left out: a second one beside the machine's loader does not work.
unpack() {
  local package=$1 plan
  plan=$(apt install --simulate --no-install-recommends "$package" | awk '$1 == "Inst" { print $2 }') || return
  rm -rf "$tools/download" && mkdir -p "$tools/download" "$tools/root" || return
  # The package itself too when the machine believes to have it.
  (cd "$tools/download" && apt download $(printf '%s\n' "$package" $plan | sort -u | grep -vxE 'libc6|libc-bin')) || return
  local archive
  for archive in "$tools"/download/*.deb; do dpkg-deb -x "$archive" "$tools/root" || return; done
  rm -rf "$tools/download"
}

library_path() {
  local architecture
  architecture=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || basename "$(dirname "$(ls -d /usr/lib/*-linux-gnu*/libc.so.6 | head -n 1)")")
  echo "$tools/root/usr/lib/$architecture:$tools/root/lib/$architecture"
}

# The program NAME of the unpacked packages as .tools/bin/NAME, with its private libraries and data.
give_private_tool() {
  local name=$1 file
  for file in "$tools"/root/{usr/bin,usr/sbin,bin,sbin}/"$name"; do [[ -L $file || -f $file ]] && break; done
  if [[ ! -e $file ]]; then
    # A link into a package that the machine has itself: redis-server is another name of redis-check-rdb.
    local target; target=$(command -v "$(basename "$(readlink "$file")")") || return
    ln -sfn "$target" "$tools/bin/$name"
    return
  fi
  local settings="LD_LIBRARY_PATH='$(library_path)' " options=''
  case $name in
    skopeo) [[ -e /etc/containers/policy.json ]] || options=" --policy '$tools/root/etc/containers/policy.json'" ;;
  esac
  printf '#!/bin/sh\n%sexec "%s"%s "$@"\n' "$settings" "$file" "$options" >"$tools/bin/$name.new"
  chmod 755 "$tools/bin/$name.new"
  mv "$tools/bin/$name.new" "$tools/bin/$name"
}

unpack_private_tools() {
  local package pair
  mkdir -p "$tools/bin"
  for package in "$@"; do
    say "unpacking $package into .tools (it is not installed) ..."
    with_apt unpack "$package" || fail "could not unpack $package: see above"
    for pair in "${private_tools[@]}"; do
      if [[ ${pair#*:} == "$package" ]]; then
        give_private_tool "${pair%%:*}" || fail "package $package has no program ${pair%%:*}"
      fi
    done
  done
}

# Whether node_modules is what package-lock.json says: installed from this very file, or by npm after it was written.
node_modules_are_there() {
  local stamp=node_modules/.snapmill-lock installed=node_modules/.package-lock.json
  [[ -x node_modules/.bin/bun ]] || return
  cmp -s package-lock.json "$stamp" && return
  [[ -e $installed && $installed -nt $stamp && ! package-lock.json -nt $installed ]] && cp package-lock.json "$stamp"
}

install_node_modules() {
  command -v npm >/dev/null || fail "npm is missing: install node (20 or newer) with npm"
  say "installing the packages of package-lock.json (npm ci) ..."
  quietly npm ci --no-audit --no-fund --loglevel error || fail "npm ci failed: see above"
  cp package-lock.json node_modules/.snapmill-lock
}

look() {
  to_install=$(missing_packages "${system_tools[@]}")
  to_unpack=$(missing_packages "${private_tools[@]}")
}

set_up() {
  local to_install to_unpack
  look
  if [[ -z $to_install$to_unpack ]] && node_modules_are_there; then return; fi
  if [[ -n $to_install$to_unpack ]]; then
    local lacking; lacking=$(echo $to_install $to_unpack | sed 's/ /, /g')
    command -v apt-get >/dev/null || fail "these packages are missing: $lacking; there is no apt here, so install them by hand"
    [[ $(id -u) == 0 ]] || fail "these packages are missing: $lacking; run this as root, or install them by hand"
  fi

  mkdir -p "$tools"
  : >>"$log"
  # One set-up at a time: a second one waits, and then finds everything there.
  if command -v flock >/dev/null; then exec 9>"$tools/lock" && flock 9; fi
  look
  if [[ -n $to_install ]]; then install_system_tools $to_install; fi
  # What was installed may have brought some of it along (xfsprogs brings python3).
  look
  if [[ -n $to_unpack ]]; then unpack_private_tools $to_unpack; fi
  node_modules_are_there || install_node_modules
  exec 9>&-
}

set_up
if [[ $# == 0 ]]; then exit; fi
script=$root/$1
shift
if [[ $purpose == run ]]; then cd "$start"; fi
# bun would obey a bunfig.toml and an .env of whatever directory it is started in.
export BUN_OPTIONS="--config=$root/bunfig.toml --no-env-file"
exec "$root/node_modules/.bin/bun" "$script" "$@"
