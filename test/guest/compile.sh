# compile OUT SOURCE_OR_FLAG...: a shared library of C without headers, by the machine's C compiler or, where there is
# none, by tcc, which is unpacked into .tools/tcc. Sourced by setup.sh; run as a script it compiles what it is given.
compile() {
  local out=$1 tcc=.tools/tcc; shift
  if command -v cc >/dev/null && cc -O2 -fPIC -nostdlib -shared -o "$out" "$@" >>"$log" 2>&1; then return; fi
  if [[ ! -x $tcc/usr/bin/tcc ]]; then with_apt unpack_packages "$tcc" tcc || return; fi
  "$tcc/usr/bin/tcc" -B "$tcc/usr/lib/x86_64-linux-gnu/tcc" -nostdinc -nostdlib -shared -o "$out" "$@" >>"$log" 2>&1
}
