# Sourced by the other scripts: installs the Debian packages that are missing, and says how long each phase took.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program_packages=(g++ cmake ninja-build ccache mold libxsimd-dev nlohmann-json3-dev libcli11-dev libutf8proc-dev
                  libxxhash-dev libedit-dev libdnnl-dev)
test_packages=(doctest-dev zlib1g-dev python3 binutils)
aarch64_packages=(g++-aarch64-linux-gnu qemu-user)
clang_packages=(clang libomp-dev libclang-rt-14-dev lld)

say() { printf '== %s\n' "$*"; }

phase() {  # phase NAME COMMAND...: runs it and prints the seconds
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@"
  say "$name: done in $((SECONDS - start)) s"
}

install_missing() {  # install_missing PACKAGE...
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "packages: all there"
    return
  fi
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  say "packages: installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq || say "packages: a source could not be read; going on with the others"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

configure() {  # configure FOLDER OPTION...
  local folder=$1
  shift
  cmake -S . -B "$folder" -G Ninja "$@" >"$folder.log" 2>&1 || { cat "$folder.log"; rm -f "$folder.log"; return 1; }
  rm -f "$folder.log"
}
