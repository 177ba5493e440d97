#!/usr/bin/env bash
# Makes sure of everything that snapmill needs, then runs a program of it:
#
#   scripts/setup.sh run [SCRIPT ARGS...]     what snapmill itself needs
#   scripts/setup.sh test [SCRIPT ARGS...]    and what its tests need
#   scripts/setup.sh bench [SCRIPT ARGS...]   and what it is measured against
#
# Starts from node and npm on Debian or Ubuntu; where something is missing, it needs root and apt. Quick when all is
# there. What only makes file systems is installed; what could disturb the machine (redis-server would start a service)
# or is needed by tests alone is unpacked into .tools/ of this checkout, and found there through PATH.
set -euo pipefail

# npm goes to the checkout before it runs a script; paths on the command line are meant from where the user is.
start=${INIT_CWD:-$PWD}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

. scripts/needs.sh
tree=$tools/tree
log=$tools/setup.log

. scripts/packages.sh

# Ubuntu's is a snap, which needs its own service: the tests of the pages are skipped there, and say so.
has_chromium_package() {
  local ID='' ID_LIKE=''
  if [[ -r /etc/os-release ]]; then . /etc/os-release; fi
  [[ " $ID $ID_LIKE " != *" ubuntu "* ]]
}

purpose=${1:-}
case $purpose in
  run) ;;
  test)
    private_tools+=(
      umoci:umoci skopeo:skopeo strace:strace docker-registry:docker-registry openssl:openssl
      dmsetup:dmsetup thin_check:thin-provisioning-tools thin_dump:thin-provisioning-tools thin_ls:thin-provisioning-tools
      containerd:containerd ctr:containerd containerd-shim-runc-v2:containerd runc:runc
      python3:python3 python3-grpc:python3-grpcio
      fish:fish zsh:zsh mandoc:mandoc systemd-analyze:systemd
      prometheus:prometheus promtool:prometheus
    )
    if has_chromium_package; then private_tools+=(chromium-headless-shell:chromium-headless-shell); fi
    ;;
  bench)
    private_tools+=(
      umoci:umoci containerd:containerd ctr:containerd docker-registry:docker-registry unpigz:pigz zstd:zstd igzip:isal
      # For the guest, which has no network: there they are system tools.
      dmsetup:dmsetup thin_check:thin-provisioning-tools
    )
    ;;
  *) fail "usage: scripts/setup.sh run|test|bench [SCRIPT ARGS...]" ;;
esac
shift

if wants_device_mapper "$@"; then
  system_tools+=("${device_mapper_tools[@]}")
  # What the containers of the tests run; where the suites for device-mapper run in a guest, they have the guest's.
  if [[ $purpose == test ]]; then private_tools+=(busybox:busybox-static); fi
fi

install_system_tools() {
  say "installing $* ..."
  with_apt apt install --no-install-recommends "$@" || fail "could not install $*: see above"
}

# Downloads the packages, and what they depend on that the machine lacks, and unpacks them into .tools/tree.
# The C library is left out: a second one beside the machine's loader does not work.
unpack() {
  local plan
  plan=$(apt install --simulate --no-install-recommends "$@" | awk '$1 == "Inst" { print $2 }') || return
  # The packages themselves too when the machine believes to have them.
  unpack_packages "$tree" $(printf '%s\n' "$@" $plan | sort -u | grep -vxE 'libc6|libc-bin')
}

library_path() {
  local architecture
  architecture=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || basename "$(dirname "$(ls -d /usr/lib/*-linux-gnu*/libc.so.6 | head -n 1)")")
  echo "$tree/usr/lib/$architecture"
}

# The program NAME of the unpacked packages as .tools/bin/NAME, with its private libraries and data.
give_private_tool() {
  local name=$1 file settings options=''
  settings="LD_LIBRARY_PATH='$(library_path)'"
  for file in "$tree"/usr/{bin,sbin}/"$name"; do [[ -L $file || -f $file ]] && break; done
  case $name in
    skopeo) [[ -e /etc/containers/policy.json ]] || options=" --policy '$tree/etc/containers/policy.json'" ;;
    # Debian's own python3, whatever other one is first on PATH, with the modules of the unpacked packages.
    python3-grpc)
      file=/usr/bin/python3
      [[ -x $file ]] || file=$tree/usr/bin/python3
      settings+=" PYTHONPATH='$tree/usr/lib/python3/dist-packages'"
      ;;
    # The package's own program is a script that starts the one of the machine.
    chromium-headless-shell)
      file=$tree/usr/lib/chromium/$name
      settings="LD_LIBRARY_PATH='$(library_path):$(library_path)/pulseaudio:$(library_path)/nss'"
      ;;
    systemd-analyze)
      settings="LD_LIBRARY_PATH='$(library_path):$(library_path)/systemd' SYSTEMD_UNIT_PATH='$tree/usr/lib/systemd/system:'"
      ;;
  esac
  if [[ ! -e $file ]]; then
    # A link into a package that the machine has itself: redis-server is another name of redis-check-rdb.
    local target; target=$(command -v "$(basename "$(readlink "$file")")") || return
    ln -sfn "$target" "$tools/bin/$name"
    return
  fi
  printf '#!/bin/sh\n%s exec "%s"%s "$@"\n' "$settings" "$file" "$options" >"$tools/bin/$name.new"
  chmod 755 "$tools/bin/$name.new"
  mv "$tools/bin/$name.new" "$tools/bin/$name"
}

unpack_private_tools() {
  local pair
  mkdir -p "$tools/bin"
  say "unpacking into .tools, without installing it: $* ..."
  with_apt unpack "$@" || return
  for pair in "${private_tools[@]}" "${optional_tools[@]}"; do
    if [[ " $* " == *" ${pair#*:} "* ]]; then
      give_private_tool "${pair%%:*}" || fail "package ${pair#*:} has no program ${pair%%:*}"
    fi
  done
}

# Where there is neither apt nor root, or the packages are not to be had, there is no need to ask again at every start.
unpack_optional_tools() {
  local declined=$tools/optional-declined
  if [[ -z $to_add || -e $declined ]]; then return 0; fi
  command -v apt-get >/dev/null && [[ $(id -u) == 0 ]] || return 0
  mkdir -p "$tools"
  : >>"$log"
  lock_tools
  look
  [[ -z $to_add ]] || unpack_private_tools $to_add || { touch "$declined"; say "going on without $to_add"; }
  exec 9>&-
}

# Whether node_modules is what package-lock.json says, though the stamp is older than that: the file was only touched, or
# npm has installed it by itself after it was written. Then the next look at the stamp is enough.
node_modules_are_there_after_all() {
  local stamp=node_modules/.snapmill-lock installed=node_modules/.package-lock.json
  if node_modules_are_there; then return; fi
  [[ -x $bun ]] || return
  if cmp -s package-lock.json "$stamp"; then touch "$stamp" 2>/dev/null || true; return 0; fi
  [[ -e $installed && $installed -nt $stamp && ! package-lock.json -nt $installed ]] && cp package-lock.json "$stamp"
}

install_node_modules() {
  command -v npm >/dev/null || fail "npm is missing: install node (20 or newer) with npm"
  say "installing the packages of package-lock.json (npm ci) ..."
  quietly npm ci --no-audit --no-fund --loglevel error || fail "npm ci failed: see above"
  cp package-lock.json node_modules/.snapmill-lock
}

look() {
  to_install=$(lacking_packages "${system_tools[@]}")
  to_unpack=$(lacking_packages "${private_tools[@]}")
  to_add=$(lacking_packages "${optional_tools[@]}")
}

set_up() {
  look
  if [[ -z $to_install$to_unpack ]] && node_modules_are_there_after_all; then return; fi
  if [[ -n $to_install$to_unpack ]]; then
    local lacking; lacking=$(echo $to_install $to_unpack | sed 's/ /, /g')
    command -v apt-get >/dev/null || fail "these packages are missing: $lacking; there is no apt here, so install them by hand"
    [[ $(id -u) == 0 ]] || fail "these packages are missing: $lacking; run this as root, or install them by hand"
  fi

  mkdir -p "$tools"
  : >>"$log"
  # One set-up at a time: a second one waits, and then finds everything there.
  lock_tools
  look
  if [[ -n $to_install ]]; then install_system_tools $to_install; fi
  # What was installed may have brought some of it along (xfsprogs brings python3).
  look
  if [[ -n $to_unpack ]]; then unpack_private_tools $to_unpack || fail "could not unpack $to_unpack: see above"; fi
  node_modules_are_there_after_all || install_node_modules
  exec 9>&-
}

set_up
unpack_optional_tools
if [[ $# == 0 ]]; then exit; fi
script=$root/$1
shift
if [[ $purpose == run ]]; then cd "$start"; fi
# bun would obey a bunfig.toml and an .env of whatever directory it is started in.
export BUN_OPTIONS="\"--config=$root/bunfig.toml\" --no-env-file"
exec "$bun" "$script" "$@"
