#!/usr/bin/env bash
# Installs snapmill from its unpacked release, or upgrades or removes what it installed before. It starts nothing, and touches
# neither /etc/snapmill nor the state directory. A running snapmill goes on as it is until it is restarted.
set -euo pipefail

say() { echo "snapmill: $*" >&2; }
fail() { say "$*"; exit 1; }

usage() {
  cat <<END
Usage: $0 [--prefix DIR] [--unit-dir DIR|none]
       $0 --uninstall [--prefix DIR]

Installs snapmill from its unpacked release, or upgrades or removes what it installed before. It starts nothing, and touches
neither /etc/snapmill nor the state directory.

  --prefix DIR         below it: lib/snapmill, bin, share (default: /usr/local)
  --unit-dir DIR|none  where the unit for systemd goes (default: /etc/systemd/system)
  --uninstall          remove what was installed; settings and data are left
END
}

here=$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")
prefix=/usr/local
unit_dir=/etc/systemd/system
uninstall=
while [[ $# -gt 0 ]]; do
  case $1 in
    --prefix) prefix=${2:?--prefix needs a directory}; shift ;;
    --unit-dir) unit_dir=${2:?--unit-dir needs a directory, or none}; shift ;;
    --uninstall) uninstall=yes ;;
    -h | --help) usage; exit ;;
    *) fail "$1 is not known: see $0 --help" ;;
  esac
  shift
done
[[ $prefix == /* && $prefix != *[[:space:]]* ]] || fail "--prefix $prefix: give an absolute path without spaces"
[[ $unit_dir == /* || $unit_dir == none ]] || fail "--unit-dir $unit_dir: give an absolute path, or none"

program=$prefix/lib/snapmill
# What was installed outside of the program's directory, a path a line.
list=$program/installed

reload_systemd() {
  # Not where systemd does not run, as while an image is built.
  if [[ -d /run/systemd/system ]] && command -v systemctl >/dev/null; then systemctl daemon-reload; fi
}

remove_listed() { # LIST
  local path
  while IFS= read -r path; do rm -f -- "$path"; done <"$1"
}

if [[ -n $uninstall ]]; then
  [[ -f $list ]] || fail "there is no snapmill in $program"
  remove_listed "$list"
  rm -rf -- "$program"
  reload_systemd
  say "removed from $prefix; its data (/var/lib/snapmill) and its settings (/etc/snapmill) are left: delete them by hand"
  exit
fi

[[ -f $here/release ]] || fail "run this from an unpacked release: $here has no file 'release'"
[[ $here != "$program" ]] || fail "$here is what is installed: run this from an unpacked release"

# Beside the old program first, so that what runs never sees half of one.
mkdir -p "$prefix/lib" "$prefix/bin"
rm -rf -- "$program.new" "$program.old"
cp -R -- "$here" "$program.new"
chmod -R go-w "$program.new"

put() { # FILE TARGET
  mkdir -p "$(dirname "$2")"
  cp -- "$1" "$2.new"
  chmod 644 "$2.new"
  mv -- "$2.new" "$2"
  echo "$2" >>"$program.new/installed"
}

: >"$program.new/installed"
for page in "$here"/man/*.1; do put "$page" "$prefix/share/man/man1/${page##*/}"; done
put "$here/completions/bash" "$prefix/share/bash-completion/completions/snapmill"
put "$here/completions/zsh" "$prefix/share/zsh/site-functions/_snapmill"
put "$here/completions/fish" "$prefix/share/fish/vendor_completions.d/snapmill.fish"
if [[ $unit_dir != none ]]; then
  put "$here/deploy/systemd/snapmill.service" "$unit_dir/snapmill.service"
  sed -i "s|^ExecStart=/usr/local/bin/|ExecStart=$prefix/bin/|" "$unit_dir/snapmill.service"
fi

# What an older version had, and this one does not.
if [[ -f $list ]]; then
  remove_listed <(grep -vxFf "$program.new/installed" "$list" | grep -vxF "$prefix/bin/snapmill" || true)
fi
if [[ -e $program ]]; then mv -- "$program" "$program.old"; fi
mv -- "$program.new" "$program"
rm -rf -- "$program.old"
ln -sfn ../lib/snapmill/snapmill "$prefix/bin/snapmill"
echo "$prefix/bin/snapmill" >>"$list"
reload_systemd

root=$program
. "$program/scripts/needs.sh"
lacking=$(lacking_packages "${system_tools[@]}" "${private_tools[@]}")
if [[ -n $lacking ]]; then say "this machine lacks$lacking: install what is missing (Debian: apt-get install$lacking)"; fi
say "$(<"$program/release") is installed in $prefix"
