# What snapmill needs, and whether it is there. Sourced by the launcher at every start, and by scripts/setup.sh: looking
# starts no process. The sourcing script has set `root`, the checkout or the installed package.

tools=$root/.tools
export PATH=$tools/bin${PATH:+:$PATH}:/usr/local/sbin:/usr/sbin:/sbin

# command:package
system_tools=(mkfs.ext4:e2fsprogs e2fsck:e2fsprogs resize2fs:e2fsprogs mkfs.xfs:xfsprogs setpriv:util-linux mount:mount)
private_tools=(redis-server:redis-server)
# Decompresses faster (libisal2, which igzip brings along); snapmill works without it.
optional_tools=(igzip:isal)
device_mapper_tools=(dmsetup:dmsetup thin_check:thin-provisioning-tools)

bun=$root/node_modules/.bin/bun
# As a dependency of another package: npm has put snapmill's own beside it.
if [[ ! -e $bun && $root == */node_modules/* ]]; then bun=${root%/node_modules/*}/node_modules/.bin/bun; fi

all_found() {
  local pair
  for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || return; done
}

# Of the given command:package pairs the packages whose command is not found, each once and after a space.
lacking_packages() {
  local pair seen=''
  for pair in "$@"; do
    if ! command -v "${pair%%:*}" >/dev/null && [[ "$seen " != *" ${pair#*:} "* ]]; then seen+=" ${pair#*:}"; fi
  done
  printf %s "$seen"
}

# Whether this kernel has device-mapper, or could load it.
kernel_has_device_mapper() {
  local devices='' release='' builtin=''
  read -rd '' devices </proc/misc || true
  if [[ $devices == *device-mapper* ]]; then return; fi
  read -r release </proc/sys/kernel/osrelease || true
  local modules=/lib/modules/$release
  if compgen -G "$modules/kernel/drivers/md/dm-mod.ko*" >/dev/null; then return; fi
  if [[ -r $modules/modules.builtin ]]; then read -rd '' builtin <"$modules/modules.builtin" || true; fi
  [[ $builtin == */dm-mod.ko* ]]
}

# Whether device-mapper is of use here, for a program with the arguments ARGS: its tools are installed then, not unpacked,
# since their package brings the rules by which udev and they work hand in hand.
wants_device_mapper() { # ARGS...
  [[ ${SNAPMILL_DRIVER:-} == devmapper || " $* " == *devmapper* ]] || kernel_has_device_mapper
}

# Whether the packages are those of package-lock.json. A package that npm installed has no such file: npm saw to it.
node_modules_are_there() {
  local lock=$root/package-lock.json stamp=$root/node_modules/.snapmill-lock
  [[ -x $bun ]] || return
  [[ ! -e $lock || ( -e $stamp && ! $lock -nt $stamp ) ]]
}
