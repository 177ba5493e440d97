#!/usr/bin/env bash
# Runs a command as root under a guest kernel that has device-mapper, in the current directory; passes its output and
# its exit status on. No virtualisation is needed.
#
#   test/guest/run.sh [OPTIONS] [--] COMMAND [ARGS...]
#
#   -t SECONDS   time for everything, the boot included (default 300)
#   -m MIB       memory of the guest (default 4096); the machine's is taken as it is used
#   -w DIR       a directory the guest shares with the machine, besides the current one
#   -r DIR       the same, read-only
#   -e NAME[=V]  an environment variable; without V as it is here. No others are passed on but PATH.
#   -b SECONDS   time for the boot, part of the above (default 60)
#   -v           shows the guest's console
#
# The guest sees the machine's files, and those of .tools/tree as if they were installed; what it changes outside the
# shared directories is forgotten. /tmp, /run and /dev are its own: share with -w or -r what lies there.
#
# Exit status: the command's own; 124 when the time was up; 125 when the guest did not boot, or died.
# GUEST_TROUBLE, where it is set, is why no guest can boot here: that is said again, and nothing is tried.
# GUEST_PRELOAD is what the guest's kernel is preloaded with instead of wide-xstate.so: for this script's own test.
# The guest ends with this script, however the script ends. Killed, it is a machine whose power was cut: what it had
# flushed to a shared directory is there, what it had not is lost.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tools=$(cd "$here/../.." && pwd -P)/.tools
modules="loop dm-mod dm-thin-pool dm-snapshot"

say() { echo "guest: $*" >&2; }
usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
directory() { realpath -e -- "$1" || exit 2; }

limit_s=300 boot_limit_s=60 memory_mib=4096 console_is_shown= shares=() variables=()
[[ $PWD == / ]] || shares+=("rw $(pwd -P)")
while getopts t:b:m:w:r:e:vh option; do
  case $option in
    t) limit_s=$OPTARG ;;
    b) boot_limit_s=$OPTARG ;;
    m) memory_mib=$OPTARG ;;
    w) shares+=("rw $(directory "$OPTARG")") || exit ;;
    r) shares+=("ro $(directory "$OPTARG")") || exit ;;
    e) variables+=("$OPTARG") ;;
    v) console_is_shown=yes ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[[ $# -gt 0 ]] || usage

if [[ -n ${GUEST_TROUBLE:-} ]]; then
  say "$GUEST_TROUBLE"
  exit 125
fi
bash "$here/setup.sh" || exit 125

# What the guest is to do, written as shell scripts into a directory that it shares.
control=$(mktemp -d "${TMPDIR:-/tmp}/guest-XXXXXX") || exit 125
mkdir "$control/root"
cp "$here/init.sh" "$control/init.sh"
ln -s "$tools/guest/layer/usr/bin/busybox" "$control/busybox"

settings() {
  printf 'control=%q modules=%q\n' "$control" "$modules"
  echo 'lower_layers() {'
  printf '  layer %q\n' "$tools/guest/layer"
  [[ ! -d $tools/tree ]] || printf '  layer %q\n' "$tools/tree"
  echo '}; shares() {'
  local share
  for share in "rw $control" "${shares[@]}"; do printf '  share %s %q\n' "${share%% *}" "${share#* }"; done
  echo '}'
}

command_script() {
  local path=":$PATH:/usr/local/sbin:/usr/sbin:/sbin" variable
  # In the guest the private tools are installed: the wrappers that lead to them here come last.
  path=${path//":$tools/bin:"/:}:$tools/bin
  printf 'export PATH=%q\n' "${path#:}"
  for variable in "${variables[@]}"; do
    if [[ $variable == *=* ]]; then printf 'export %s=%q\n' "${variable%%=*}" "${variable#*=}"
    elif [[ -n ${!variable+set} ]]; then printf 'export %s=%q\n' "$variable" "${!variable}"; fi
  done
  printf 'cd %q || exit 125\nexec' "$(pwd -P)"
  printf ' %q' "$@"
  echo
}

: >"$control/console"
settings >"$control/settings"
command_script "$@" >"$control/command"

# The guest's memory is an unlinked file that is mapped for execution too: on a tmpfs, if there is one that can.
memory_directory() {
  local free_mib; free_mib=$(df --block-size=1M --output=avail /dev/shm 2>/dev/null | tail -n 1)
  if ((${free_mib:-0} >= memory_mib)) && ! grep -qE '^\S+ /dev/shm \S+ \S*\bnoexec\b' /proc/mounts; then echo /dev/shm
  else echo "${TMPDIR:-/tmp}"; fi
}

# The guest is in a PID namespace of its own: when the first process there ends, the kernel kills all others. That first
# process ends as soon as the pipe to it is closed: by this script, or by this script's death.
first_process='
  exec 3<&0
  cat <&3 >/dev/null &
  LD_PRELOAD=$GUEST_PRELOAD "$@" 3<&- </dev/null &
  wait -n'
kernel=("$tools/guest/linux.uml" mem="${memory_mib}M" root=/dev/root rootfstype=hostfs rootflags=/ ro quiet
  uml_dir="$control/uml/" con=null con0=null,fd:1 ssl=null ssl0=null,fd:8 ssl1=null,fd:9
  GUEST_CONTROL="$control" init="$control/busybox" -- sh "$control/init.sh")

# A terminal would be set to raw mode by the guest: it gets a pipe instead.
if [[ -t 1 ]]; then exec 8> >(exec cat); else exec 8>&1; fi
if [[ -t 2 ]]; then exec 9> >(exec cat >&2); else exec 9>&2; fi
exec 7> >(TMPDIR=$(memory_directory) GUEST_PRELOAD=${GUEST_PRELOAD:-$tools/guest/wide-xstate.so} exec unshare --pid --fork bash -c "$first_process" bash "${kernel[@]}" >"$control/console" 2>&1)
guest=$!
exec 8>&- 9>&-

end_guest() {
  exec 7>&-
  wait
  rm -rf "$control"
}
trap end_guest EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

if [[ -n $console_is_shown ]]; then tail -f --pid=$guest "$control/console" >&2 7>&- & fi
# Waits without starting a process: reads from a pipe without a writer.
exec 6<> <(:)
pause() { read -rt 0.1 -u 6; }

# What the console says of a guest that died: its own words, or those of the kernel's panic, not the stack below them.
reason() {
  local line
  line=$(grep -a -m 1 -E '^guest: |ptrace .* failed|Kernel panic' "$control/console") || line=$(grep -a . "$control/console" | tail -n 1)
  echo "${line:-nothing}"
}

deadline_s=$((SECONDS + limit_s + 1)) # SECONDS counts full ones
boot_deadline_s=$((SECONDS + boot_limit_s + 1))
while kill -0 $guest 2>/dev/null; do
  if ((SECONDS >= boot_deadline_s)) && [[ ! -e $control/booted ]]; then
    say "the guest did not boot within $boot_limit_s s; its console says: $(reason)"
    exit 125
  fi
  if ((SECONDS >= deadline_s)); then
    say "the time was up after $limit_s s"
    exit 124
  fi
  pause
done

if [[ -s $control/status ]]; then exit "$(<"$control/status")"; fi
if [[ -e $control/booted ]]; then say "the guest died before its command ended; its console says: $(reason)"
else say "the guest does not boot; its console says: $(reason)"; fi
[[ -z $console_is_shown ]] && say "(-v shows the whole of it)"
exit 125
