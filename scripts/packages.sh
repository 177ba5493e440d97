# Debian packages, with every download bounded and its output in $log. Sourced by scripts/setup.sh and test/guest/setup.sh,
# which set `tools` and `log`.

say() { echo "snapmill: $*" >&2; }
fail() { say "$*"; exit 1; }

# Runs a step with its output in the log; shows the beginning of it when the step fails.
quietly() {
  local begin; begin=$(wc -l <"$log")
  "$@" >>"$log" 2>&1 </dev/null && return
  tail -n "+$((begin + 1))" "$log" | head -n 12 | sed 's/^/  /' >&2
  say "(all of it: $log)"
  return 1
}

# Takes the lock of $tools on descriptor 9. Its file is for the owner alone, since every process that can open it can hold it; a
# holder that takes longer than anything a set-up does is named instead of waited for.
lock_tools() {
  command -v flock >/dev/null || return 0
  (umask 077; : >>"$tools/lock") && chmod 600 "$tools/lock" && exec 9>"$tools/lock" || return
  flock --wait 1800 9 || fail "another set-up holds $tools/lock: fuser $tools/lock says which"
}

# A server that has gone quiet is given up after half a minute, one that trickles after ten.
apt() {
  env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C timeout --kill-after=10 600 \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User=root -o Acquire::Retries=3 \
    -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
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

# A directory that packages can be unpacked into: merged as the machine's own /usr is.
make_tree() {
  local name
  for name in bin sbin lib lib64; do
    mkdir -p "$1/usr/$name"
    [[ -e $1/$name ]] || ln -s "usr/$name" "$1/$name"
  done
}

# Downloads the packages and unpacks them into the tree: no script of theirs is run.
unpack_packages() {
  local tree=$1 archive; shift
  rm -rf "$tree.download" && mkdir -p "$tree.download" && make_tree "$tree" || return
  (cd "$tree.download" && apt download "$@") || return
  for archive in "$tree.download"/*.deb; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$tree" || return
  done
  rm -rf "$tree.download"
}
