# The first process of the guest, run by busybox sh: run.sh gives it to the kernel. Never run it on the machine itself.
#
# It runs twice. First it makes the guest's root: an overlay of the machine's files, of what the guest has beyond them,
# and of a tmpfs for what changes; and moves there. Then it mounts what a running system has, runs the command, writes
# the command's exit status to the control directory and switches the machine off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=dumb
# There is no udevd: libdevmapper creates /dev/mapper/* itself, and does not wait for udev.
export DM_DISABLE_UDEV=1

# Every command here is busybox's own: it starts quickest, and does not depend on what is installed.
# The shell finds itself through /proc; where there is none, it is called by this path, which leads to it in both roots.
bb=$GUEST_CONTROL/busybox

switch_off() { echo o >/proc/sysrq-trigger; while :; do sleep 1; done; }
give_up() { echo "guest: $*" >/dev/console; switch_off; }

# A directory of the machine, below its own name: share ro|rw DIR.
share() {
  mkdir -p "$2" && mount -t hostfs -o "$1,$2" none "$2" || give_up "cannot share $2"
}

# overlayfs refuses layers of one file system that lie in each other: each is a mount of its own.
layer() {
  count=$((count + 1))
  mkdir "$new/layer$count" && mount -t hostfs -o "ro,$1" none "$new/layer$count" || give_up "cannot mount $1"
  lower="$lower$new/layer$count:"
}

make_root() {
  $bb mount -t proc proc /proc
  . "$GUEST_CONTROL/settings"
  new=$control/root count=0 lower=
  mount -t tmpfs -o size=90% tmpfs "$new" || give_up "cannot mount a tmpfs on $new"
  mkdir -p "$new/upper/.guest/machine" "$new/work" "$new/merged"
  cp "$control/init.sh" "$control/settings" "$new/upper/.guest/"
  lower_layers
  insmod "$new"/layer1/usr/lib/modules/*/kernel/fs/overlayfs/overlay.ko || give_up "cannot load overlayfs"
  cd "$new"
  mount -t overlay -o "lowerdir=$lower/,upperdir=$new/upper,workdir=$new/work" overlay merged ||
    give_up "cannot mount the root"
  mount --move /dev merged/dev
  $bb mount --move /proc merged/proc
  cd merged
  $bb pivot_root . .guest/machine || give_up "cannot move to the new root"
  exec $bb chroot . /bin/busybox sh /.guest/init.sh started </dev/null
}

run_command() {
  . /.guest/settings
  # The kernel passes what it does not know of its command line on as variables.
  unset mem uml_dir GUEST_CONTROL OLDPWD
  mount -t sysfs sysfs /sys
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p /dev/pts /dev/shm
  mount -t devpts -o ptmxmode=0666 devpts /dev/pts
  for place in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777,size=75% tmpfs $place; done
  for link in fd: stdin:/0 stdout:/1 stderr:/2; do ln -s "/proc/self/fd${link#*:}" "/dev/${link%%:*}"; done
  echo guest >/proc/sys/kernel/hostname
  ip link set lo up
  shares
  modprobe -a $modules || give_up "cannot load $modules"

  # The command writes to pipes, not to what looks like a terminal.
  stty raw -echo </dev/ttyS0
  stty raw -echo </dev/ttyS1
  mkfifo /.guest/out /.guest/err
  cat </.guest/out >/dev/ttyS0 &
  out=$!
  cat </.guest/err >/dev/ttyS1 &
  err=$!
  : >"$control/booted"
  setsid /bin/bash "$control/command" </dev/null >/.guest/out 2>/.guest/err
  status=$?
  # What the command left running may keep the pipes open: its last words are waited for, not its end.
  tries=0
  while [ $tries -lt 20 ] && { kill -0 $out || kill -0 $err; } 2>/dev/null; do
    sleep 0.05
    tries=$((tries + 1))
  done
  # First what the command wrote, then the word that it is done.
  sync
  echo $status >"$control/status"
  sync
  switch_off
}

if [ "${1:-}" = started ]; then run_command; else make_root; fi
